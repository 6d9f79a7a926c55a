#pragma once
// For tests of the graph: small graphs, tensors of known or random numbers, and the graph's value op by op (the oracle for passes and
// plans).

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "oxplow/graph/evaluate.h"
#include "oxplow/graph/graph.h"
#include "oxplow/graph/model.h"

namespace oxplow {

inline Attributes attributes_of(std::initializer_list<std::pair<const char*, Attribute>> pairs) {
  Attributes attributes;
  for (const auto& [name, value] : pairs) attributes.set(name, value);
  return attributes;
}

inline std::vector<int64_t> ints(std::initializer_list<int64_t> values) { return values; }

template <typename T>
Tensor tensor(const Shape& shape, std::vector<T> values) {
  Tensor result = Tensor::allocate({dtype_of<T>(), shape}).take();
  OXPLOW_CHECK(static_cast<int64_t>(values.size()) == result.elements());
  std::copy(values.begin(), values.end(), result.mutable_values<T>().begin());
  return result;
}
inline Tensor integers(std::vector<int64_t> values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return tensor<int64_t>(shape, std::move(values));
}
inline Tensor number(float value) { return Tensor::scalar<float>(value); }

// Uniform in [low, high), the same numbers for the same seed everywhere.
inline Tensor random_f32(const Shape& shape, uint32_t seed, float low = -1, float high = 1) {
  std::mt19937 random(seed);
  Tensor result = Tensor::allocate({DType::f32, shape}).take();
  for (float& v : result.mutable_values<float>())
    v = low + (high - low) * static_cast<float>(random() >> 8) / static_cast<float>(1 << 24);
  return result;
}

// A pool, a tier and packed weights of their own.
struct TestMachine {
  explicit TestMachine(int threads = 2, Isa isa = best_isa()) : pool(threads), machine{isa, pool, packs} {}
  ThreadPool pool;
  PackCache packs;
  Machine machine;
};

// One op, run by itself. A failure ends the test with the op's own message.
inline std::vector<Tensor> run_ops(std::string_view op, std::vector<Tensor> inputs, const Attributes& attributes = {},
                                   int outputs = 1, Isa isa = best_isa(), int threads = 2) {
  TestMachine test(threads, isa);
  const OpSpec* spec = find_op(op);
  EXPECT_NE(spec, nullptr) << op;
  auto results = evaluate(*spec, attributes, inputs, outputs, test.machine);
  EXPECT_TRUE(results.ok()) << op << ": " << (results.ok() ? "" : results.error().message);
  return results.ok() ? results.take() : std::vector<Tensor>(static_cast<size_t>(outputs), Tensor::scalar<float>(0));
}
inline Tensor run_op(std::string_view op, std::vector<Tensor> inputs, const Attributes& attributes = {}, Isa isa = best_isa(),
                     int threads = 2) {
  return run_ops(op, std::move(inputs), attributes, 1, isa, threads)[0];
}
// The message of an op that must fail.
inline std::string op_error(std::string_view op, std::vector<Tensor> inputs, const Attributes& attributes = {}, int outputs = 1) {
  TestMachine test;
  auto results = evaluate(*find_op(op), attributes, inputs, outputs, test.machine);
  return results.ok() ? "no error" : results.error().message;
}

// Values with the largest error each may have.
struct Expected {
  Shape shape;
  std::vector<double> values;
  std::vector<double> tolerance;

  explicit Expected(const Shape& extents)
      : shape(extents), values(static_cast<size_t>(elements_of(extents))), tolerance(static_cast<size_t>(elements_of(extents))) {}
};
constexpr double kUnit = 0x1p-24;  // half the distance from 1 to the next f32

inline void expect_near(const Tensor& actual, const Expected& expected) {
  ASSERT_EQ(to_string(actual.type()), to_string(TensorType{DType::f32, expected.shape}));
  const auto values = actual.values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(values[i]), expected.values[i], expected.tolerance[i])
        << "element " << i << " of " << to_string(expected.shape);
  }
}

template <typename T>
std::vector<T> values_of(const Tensor& tensor) {
  const auto values = tensor.values<T>();
  return {values.begin(), values.end()};
}

// The f32 tensor in f64; others as they are.
inline Tensor widened(const Tensor& x) {
  if (!x.defined() || x.dtype() != DType::f32) return x;
  Tensor y = Tensor::allocate({DType::f64, x.shape()}).take();
  std::copy(x.values<float>().begin(), x.values<float>().end(), y.mutable_values<double>().begin());
  return y;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && std::equal(static_cast<const char*>(a.data()), static_cast<const char*>(a.data()) + a.bytes(),
                                            static_cast<const char*>(b.data()));
}

// |actual - expected| <= tolerance * (1 + |expected|), element by element.
inline void expect_close(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(to_string(actual.type()), to_string(expected.type()));
  if (actual.dtype() != DType::f32) {
    EXPECT_TRUE(same_bits(actual, expected));
    return;
  }
  const auto a = actual.values<float>(), e = expected.values<float>();
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(a[i]), static_cast<double>(e[i]), tolerance * (1 + std::fabs(static_cast<double>(e[i]))))
        << "element " << i;
  }
}

// A graph written call by call; every call infers types at once.
class SmallGraph {
 public:
  Graph graph;

  ValueId input(const std::string& name, const TensorType& type) {
    std::vector<DeclaredDim> dims;
    for (int64_t extent : type.shape) dims.push_back({extent, ""});
    return declare(name, type, std::move(dims));
  }
  // Extents by symbol; `type` is for the inference here.
  ValueId declare(const std::string& name, const TensorType& type, std::vector<DeclaredDim> dims) {
    const ValueId id = graph.add_value(name);
    graph[id].type = type;
    graph[id].typed = true;
    graph.inputs.push_back(id);
    graph.declared.push_back({name, type.dtype, std::move(dims)});
    return id;
  }
  ValueId constant(Tensor tensor) { return graph.add_constant(std::move(tensor), "constant"); }
  std::vector<ValueId> ops(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}, int outputs = 1) {
    const std::string name = std::string(op) + "_" + std::to_string(graph.nodes.size());
    auto ids = graph.emit(graph.nodes.end(), op, name, std::move(inputs), std::move(attributes), outputs);
    EXPECT_TRUE(ids.ok()) << op << ": " << (ids.ok() ? "" : ids.error().message);
    return ids.ok() ? ids.take() : std::vector<ValueId>(static_cast<size_t>(outputs), 0);
  }
  ValueId op(std::string_view name, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return ops(name, std::move(inputs), std::move(attributes))[0];
  }
  ValueId transpose(ValueId x, std::initializer_list<int64_t> perm) {
    return op("Transpose", {x}, attributes_of({{"perm", ints(perm)}}));
  }
  ValueId reshape(ValueId x, std::initializer_list<int64_t> shape) { return op("Reshape", {x, constant(integers(shape))}); }
  SmallGraph& output(ValueId id) {
    graph.outputs.push_back(id);
    return *this;
  }

  // f32 inputs of the graph's types, random.
  std::vector<Tensor> random_inputs(uint32_t seed = 1) const {
    std::vector<Tensor> tensors;
    for (ValueId id : graph.inputs) tensors.push_back(random_f32(graph.shape(id), seed++));
    return tensors;
  }
};

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias, channels on axis 1: what no plan runs, so the oracle spells it out.
inline Tensor plain_batch_norm(const std::vector<Tensor>& in, float epsilon) {
  const Shape& shape = in[0].shape();
  Tensor y = Tensor::allocate(in[0].type()).take();
  const int64_t channels = shape[1], inner = product(shape, 2, shape.rank());
  for (int64_t i = 0; i < in[0].elements(); ++i) {
    const auto c = static_cast<size_t>(i / inner % channels);
    const auto at = [&](size_t k) { return static_cast<double>(in[k].values<float>()[c]); };
    const double x = static_cast<double>(in[0].values<float>()[static_cast<size_t>(i)]);
    y.mutable_values<float>()[static_cast<size_t>(i)] =
        static_cast<float>((x - at(3)) / std::sqrt(at(4) + static_cast<double>(epsilon)) * at(1) + at(2));
  }
  return y;
}

// The graph as it stands, op by op, no pass and no plan.
inline std::vector<Tensor> op_by_op(const Graph& graph, const std::vector<Tensor>& inputs, Isa isa = best_isa()) {
  TestMachine test(1, isa);
  std::map<ValueId, Tensor> known;
  for (size_t i = 0; i < inputs.size(); ++i) known[graph.inputs[i]] = inputs[i];
  const auto value = [&](ValueId id) {
    return id == kNoValue ? Tensor{} : graph.constant(id) ? *graph.constant(id) : known.at(id);
  };
  for (const Node& node : graph.nodes) {
    std::vector<Tensor> in;
    for (ValueId id : node.inputs) in.push_back(value(id));
    if (node.is("BatchNormalization")) {
      known[node.outputs[0]] = plain_batch_norm(in, node.attributes.number("epsilon", 1e-5f));
      continue;
    }
    auto results = evaluate(*node.op, node.attributes, in, static_cast<int>(node.outputs.size()), test.machine);
    EXPECT_TRUE(results.ok()) << node.name << ": " << (results.ok() ? "" : results.error().message);
    if (!results.ok()) return {};
    for (size_t i = 0; i < node.outputs.size(); ++i) known[node.outputs[i]] = (*results)[i];
  }
  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) outputs.push_back(value(id));
  return outputs;
}

// The graph as a model: passes (but those to skip), plan, run.
inline std::vector<Tensor> planned(const Graph& graph, const std::vector<Tensor>& inputs, std::vector<std::string> skip = {},
                                   int threads = 2, Isa isa = best_isa()) {
  ModelOptions options;
  options.isa = isa;
  options.passes.skip = std::move(skip);
  auto model = Model::from_graph(graph, options, std::make_shared<ThreadPool>(threads));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
  if (!model.ok()) return {};
  auto results = (*model)->run(inputs);
  EXPECT_TRUE(results.ok()) << (results.ok() ? "" : results.error().message) << "\n" << graph.to_text();
  return results.ok() ? results.take() : std::vector<Tensor>{};
}

// How often each op occurs, e.g. "Conv 1, Transpose 2".
inline std::string histogram(const Graph& graph) {
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes) ++counts[node.op->name];
  std::string text;
  for (const auto& [op, count] : counts) text += (text.empty() ? "" : ", ") + op + " " + std::to_string(count);
  return text;
}

}  // namespace oxplow
