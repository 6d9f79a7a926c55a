#include "oxplow/graph/import/onnx.h"

#include <fstream>

#include "oxplow/graph/import/onnx_writer.h"
#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

// The model's bytes live as long as its graph.
struct Imported {
  explicit Imported(const OnnxWriter& writer) : bytes(writer.bytes()), graph(import()) {}
  Result<Graph> import() {
    auto model = parse_onnx(std::as_bytes(std::span(bytes)));
    if (!model.ok()) return model.error();
    return import_onnx(std::make_shared<const OnnxModel>(model.take()));
  }
  std::string bytes;
  Result<Graph> graph;
};

std::vector<Tensor> run_all(const OnnxWriter& writer, const std::vector<Tensor>& inputs) {
  const Imported imported(writer);
  EXPECT_TRUE(imported.graph.ok()) << (imported.graph.ok() ? "" : imported.graph.error().message);
  return imported.graph.ok() ? planned(*imported.graph, inputs) : std::vector<Tensor>{};
}
Tensor run(const OnnxWriter& writer, const std::vector<Tensor>& inputs) {
  auto results = run_all(writer, inputs);
  EXPECT_EQ(results.size(), 1u);
  return results.empty() ? Tensor::scalar<float>(0) : results[0];
}

// One node over f32 inputs of fixed extents, named x0, x1, ...
OnnxWriter one_node(std::string_view op, const std::vector<Tensor>& inputs,
                    std::initializer_list<std::pair<const char*, Attribute>> attributes = {}, int64_t opset = 20) {
  OnnxWriter w(opset);
  static constexpr std::string_view kNames[] = {"x0", "x1", "x2", "x3"};
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<OnnxWriter::Dim> dims;
    for (int64_t extent : inputs[i].shape()) dims.emplace_back(extent);
    w.input(kNames[i], dims);
  }
  if (inputs.size() == 1) w.node(op, {"x0"}, {"y"}, attributes);
  if (inputs.size() == 2) w.node(op, {"x0", "x1"}, {"y"}, attributes);
  if (inputs.size() == 3) w.node(op, {"x0", "x1", "x2"}, {"y"}, attributes);
  w.output("y");
  return w;
}
Tensor run_node(std::string_view op, const std::vector<Tensor>& inputs,
                std::initializer_list<std::pair<const char*, Attribute>> attributes = {}, int64_t opset = 20) {
  return run(one_node(op, inputs, attributes, opset), inputs);
}

std::string import_error(const OnnxWriter& writer) {
  const Imported imported(writer);
  return imported.graph.ok() ? "no error" : imported.graph.error().message;
}

TEST(OnnxImport, DeclaredInputsAndOutputs) {
  OnnxWriter w;
  w.input("x", {"batch", int64_t{3}, ""})
      .input_of_any_rank("z")
      .input("w", {int64_t{3}, int64_t{4}})
      .initializer("w", random_f32({3, 4}, 1));
  w.node("Transpose", {"x"}, {"t"}, {{"perm", ints({0, 2, 1})}})
      .node("MatMul", {"t", "w"}, {"y"})
      .node("Relu", {"z"}, {"r"})
      .output("y")
      .output("r");
  const Imported imported(w);
  ASSERT_TRUE(imported.graph.ok()) << imported.graph.error().message;
  const Graph& g = *imported.graph;
  ASSERT_EQ(g.declared.size(), 2u) << "an initializer is not an input";
  EXPECT_EQ(g.declared[0].name, "x");
  EXPECT_EQ((*g.declared[0].dims)[0].symbol, "batch");
  EXPECT_EQ((*g.declared[0].dims)[1].value, 3);
  EXPECT_EQ((*g.declared[0].dims)[2].value, -1);
  EXPECT_EQ((*g.declared[0].dims)[2].symbol, "");
  EXPECT_FALSE(g.declared[1].dims);
  EXPECT_EQ(to_string(g.declared[0]), "f32[batch, 3, ?]");
  EXPECT_EQ(to_string(g.declared[1]), "f32[...]");
  ASSERT_EQ(g.declared_outputs.size(), 2u);
  EXPECT_EQ(g.declared_outputs[1].name, "r");
  EXPECT_EQ(to_string(g.declared_outputs[1]), "?[...]") << "its type is not in the file";
  EXPECT_EQ(g[g.outputs[0]].name, "y");
  const auto y = planned(g, {random_f32({2, 3, 5}, 1), random_f32({}, 2)});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_EQ(y[0].shape(), (Shape{2, 5, 4}));
}

TEST(OnnxImport, WeightsStayInTheFile) {
  OnnxWriter w;
  w.input("x", {int64_t{1}}).initializer("w", random_f32({1}, 1)).node("Add", {"x", "w"}, {"y"}).output("y");
  for (size_t shift = 0; shift < 4; ++shift) {
    // Every alignment of the data: in place where it fits, copied where not.
    const std::string bytes = std::string(shift, ' ') + w.bytes();
    auto model = parse_onnx(std::as_bytes(std::span(bytes)).subspan(shift));
    ASSERT_TRUE(model.ok());
    const auto graph = import_onnx(std::make_shared<const OnnxModel>(model.take()));
    ASSERT_TRUE(graph.ok());
    for (const Value& value : graph->values) {
      if (value.constant) EXPECT_EQ(reinterpret_cast<uintptr_t>(value.constant->data()) % 4, 0u);
    }
    EXPECT_EQ(planned(*graph, {number(0).reshaped({1})})[0].values<float>()[0], random_f32({1}, 1).values<float>()[0]);
  }
}

TEST(OnnxImport, Convolutions) {
  const Tensor x = random_f32({2, 4, 7, 8}, 1), w = random_f32({6, 2, 3, 3}, 2), b = random_f32({6}, 3);
  const auto nhwc = [](const Tensor& t) { return run_op("Transpose", {t}, attributes_of({{"perm", ints({0, 2, 3, 1})}})); };
  const auto nchw = [](const Tensor& t) { return run_op("Transpose", {t}, attributes_of({{"perm", ints({0, 3, 1, 2})}})); };
  const auto attributes = attributes_of({{"group", int64_t{2}}, {"strides", ints({2, 1})}, {"pads", ints({1, 0, 1, 2})}});
  const Tensor expected = nchw(run_op("Conv", {nhwc(x), w, b}, attributes));
  expect_close(
      run_node("Conv", {x, w, b},
               {{"group", int64_t{2}}, {"strides", ints({2, 1})}, {"pads", ints({1, 0, 1, 2})}, {"kernel_shape", ints({3, 3})}}),
      expected, 1e-6);
}

TEST(OnnxImport, SignalsAreImagesOfOneRow) {
  const Tensor x = random_f32({2, 3, 20}, 1), w = random_f32({5, 3, 4}, 2);
  const Tensor y = run_node(
      "Conv", {x, w}, {{"kernel_shape", ints({4})}, {"strides", ints({3})}, {"pads", ints({1, 2})}, {"dilations", ints({2})}});
  ASSERT_EQ(y.shape(), (Shape{2, 5, 6}));
  for (size_t n = 0; n < 2; ++n) {
    for (size_t m = 0; m < 5; ++m) {
      for (size_t i = 0; i < 6; ++i) {
        double sum = 0;
        for (size_t c = 0; c < 3; ++c) {
          for (size_t s = 0; s < 4; ++s) {
            const auto at = static_cast<int64_t>(i * 3 + s * 2) - 1;
            if (at >= 0 && at < 20)
              sum += static_cast<double>(x.values<float>()[(n * 3 + c) * 20 + static_cast<size_t>(at)] *
                                         w.values<float>()[(m * 3 + c) * 4 + s]);
          }
        }
        ASSERT_NEAR(static_cast<double>(y.values<float>()[(n * 5 + m) * 6 + i]), sum, 1e-5);
      }
    }
  }
  EXPECT_EQ(run_node("MaxPool", {x}, {{"kernel_shape", ints({2})}, {"strides", ints({2})}}).shape(), (Shape{2, 3, 10}));
  EXPECT_EQ(run_node("AveragePool", {x}, {{"kernel_shape", ints({3})}, {"pads", ints({1, 1})}}).shape(), (Shape{2, 3, 20}));
}

TEST(OnnxImport, Pools) {
  const Tensor x = tensor<float>({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(values_of<float>(run_node("MaxPool", {x}, {{"kernel_shape", ints({2, 2})}})), (std::vector<float>{5, 6}));
  EXPECT_EQ(values_of<float>(run_node("AveragePool", {x}, {{"kernel_shape", ints({2, 2})}})), (std::vector<float>{3, 4}));
  EXPECT_EQ(values_of<float>(run_node("AveragePool", {x},
                                      {{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}, {"ceil_mode", int64_t{1}}})),
            (std::vector<float>{3, 4.5f}));
  EXPECT_EQ(values_of<float>(run_node("GlobalAveragePool", {x})), (std::vector<float>{3.5f}));
  EXPECT_EQ(run_node("GlobalMaxPool", {random_f32({2, 3, 4, 5}, 1)}).shape(), (Shape{2, 3, 1, 1}));
}

TEST(OnnxImport, Gemm) {
  const Tensor a = random_f32({4, 3}, 1), b = random_f32({5, 4}, 2), c = random_f32({5}, 3);
  const Tensor y = run_node("Gemm", {a, b, c}, {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}});
  ASSERT_EQ(y.shape(), (Shape{3, 5}));
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 5; ++j) {
      double sum = 0;
      for (size_t k = 0; k < 4; ++k) sum += static_cast<double>(a.values<float>()[k * 3 + i] * b.values<float>()[j * 4 + k]);
      ASSERT_NEAR(static_cast<double>(y.values<float>()[i * 5 + j]), 0.5 * sum + 2 * static_cast<double>(c.values<float>()[j]),
                  1e-5);
    }
  }
  EXPECT_EQ(run_node("Gemm", {random_f32({2, 3}, 1), random_f32({3, 4}, 2)}).shape(), (Shape{2, 4}));
}

TEST(OnnxImport, BatchNormalization) {
  OnnxWriter w(9);
  w.input("x", {"n", int64_t{3}, int64_t{2}});
  std::vector<Tensor> in{random_f32({2, 3, 2}, 1)};
  for (const char* name : {"scale", "bias", "mean", "variance"}) {
    in.push_back(random_f32({3}, static_cast<uint32_t>(in.size()) + 1, 0.5f, 2));
    w.initializer(name, in.back());
  }
  w.node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, {"y"}, {{"epsilon", 0.01f}}).output("y");
  expect_close(run(w, {in[0]}), plain_batch_norm(in, 0.01f), 1e-5);
}

// What older opsets write as attributes became inputs later: both mean the same.
TEST(OnnxImport, AttributesThatBecameInputs) {
  const Tensor x = random_f32({1, 3, 1, 4}, 1);
  EXPECT_EQ(run_node("Squeeze", {x}, {{"axes", ints({0, -2})}}, 11).shape(), (Shape{3, 4}));
  EXPECT_EQ(run_node("Unsqueeze", {x}, {{"axes", ints({0})}}, 11).shape(), (Shape{1, 1, 3, 1, 4}));
  EXPECT_EQ(run_node("ReduceMean", {x}, {{"axes", ints({1})}, {"keepdims", int64_t{0}}}, 11).shape(), (Shape{1, 1, 4}));
  EXPECT_EQ(run_node("ReduceSum", {x}, {}, 11).shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(run_node("Slice", {x}, {{"starts", ints({1, 0})}, {"ends", ints({100, -1})}, {"axes", ints({1, 3})}}, 9).shape(),
            (Shape{1, 2, 1, 3}));
  EXPECT_EQ(run_node("Slice", {x}, {{"starts", ints({0, 1})}, {"ends", ints({1, 3})}}, 9).shape(), (Shape{1, 2, 1, 4}));
  const Tensor padded = run_node("Pad", {x}, {{"pads", ints({0, 0, 0, 1, 0, 0, 0, 0})}, {"value", 7.0f}}, 10);
  EXPECT_EQ(padded.shape(), (Shape{1, 3, 1, 5}));
  EXPECT_EQ(padded.values<float>()[0], 7);
  OnnxWriter split(11);
  split.input("x", {int64_t{1}, int64_t{3}, int64_t{1}, int64_t{4}})
      .node("Split", {"x"}, {"a", "b"}, {{"axis", int64_t{1}}, {"split", ints({1, 2})}})
      .output("b");
  EXPECT_EQ(run(split, {x}).shape(), (Shape{1, 2, 1, 4}));
  OnnxWriter modern(18);
  modern.input("x", {int64_t{1}, int64_t{3}, int64_t{1}, int64_t{4}})
      .initializer("axes", integers({1}))
      .node("ReduceMean", {"x", "axes"}, {"y"})
      .output("y");
  EXPECT_EQ(run(modern, {x}).shape(), (Shape{1, 1, 1, 4}));
}

TEST(OnnxImport, SoftmaxChangedItsMeaning) {
  const Tensor x = random_f32({2, 3, 4}, 1);
  const Tensor last = run_op("Softmax", {x}), flat = run_op("Softmax", {x.reshaped({2, 12})});
  expect_close(run_node("Softmax", {x}, {}, 13), last, 0);
  expect_close(run_node("Softmax", {x}, {}, 12), flat.reshaped({2, 3, 4}), 0);
  expect_close(run_node("LogSoftmax", {x}, {{"axis", int64_t{-1}}}, 12), run_op("LogSoftmax", {x}), 0);
}

TEST(OnnxImport, Clip) {
  const Tensor x = tensor<float>({4}, {-3, 0.5f, 2, 9});
  EXPECT_EQ(values_of<float>(run_node("Clip", {x}, {{"min", 0.0f}, {"max", 6.0f}}, 6 + 1)), (std::vector<float>{0, 0.5f, 2, 6}));
  EXPECT_EQ(values_of<float>(run_node("Clip", {x})), values_of<float>(x));
  OnnxWriter limits(13);
  limits.input("x", {int64_t{4}}).initializer("max", number(1)).node("Clip", {"x", "", "max"}, {"y"}).output("y");
  EXPECT_EQ(values_of<float>(run(limits, {x})), (std::vector<float>{-3, 0.5f, 1, 1}));
  OnnxWriter computed(13);
  computed.input("x", {int64_t{4}}).input("min", {}).node("Clip", {"x", "min"}, {"y"}).output("y");
  EXPECT_EQ(values_of<float>(run(computed, {x, number(1)})), (std::vector<float>{1, 1, 2, 9}));
}

TEST(OnnxImport, Variadic) {
  const Tensor a = tensor<float>({2}, {1, 5}), b = tensor<float>({2}, {4, 2}), c = tensor<float>({1}, {3});
  EXPECT_EQ(values_of<float>(run_node("Sum", {a, b, c})), (std::vector<float>{8, 10}));
  EXPECT_EQ(values_of<float>(run_node("Mean", {a, b})), (std::vector<float>{2.5f, 3.5f}));
  EXPECT_EQ(values_of<float>(run_node("Max", {a, b, c})), (std::vector<float>{4, 5}));
  EXPECT_EQ(values_of<float>(run_node("Min", {a, b, c})), (std::vector<float>{1, 2}));
  EXPECT_EQ(values_of<float>(run_node("Max", {a})), values_of<float>(a));
}

TEST(OnnxImport, OpsOfOtherNames) {
  const Tensor x = tensor<float>({2}, {-1, 2}), y = tensor<float>({2}, {3, 3});
  EXPECT_EQ(values_of<float>(run_node("Mod", {x, y}, {{"fmod", int64_t{1}}})), (std::vector<float>{-1, 2}));
  EXPECT_EQ(values_of<float>(run_node("Mod", {x, y})), (std::vector<float>{2, 2}));
  expect_close(run_node("Gelu", {x}, {{"approximate", std::string("tanh")}}), run_op("GeluTanh", {x}), 0);
  expect_close(run_node("Gelu", {x}), run_op("Gelu", {x}), 0);
  EXPECT_EQ(values_of<float>(run_node("Dropout", {x}, {{"ratio", 0.5f}}, 11)), values_of<float>(x));
  OnnxWriter where;
  where.input("c", {int64_t{2}}, onnx::ElementType::BOOL)
      .input("x", {int64_t{2}})
      .input("y", {int64_t{2}})
      .node("Where", {"c", "x", "y"}, {"z"})
      .output("z");
  EXPECT_EQ(values_of<float>(run(where, {tensor<bool>({2}, {false, true}), x, y})), (std::vector<float>{3, 2}));
  const auto cast = run_node("Cast", {x}, {{"to", int64_t{7}}});
  EXPECT_EQ(values_of<int64_t>(cast), (std::vector<int64_t>{-1, 2}));
}

TEST(OnnxImport, Constants) {
  OnnxWriter w;
  w.node("Constant", {}, {"a"}, {{"value", tensor<float>({2}, {1, 2})}}).node("Constant", {}, {"b"}, {{"value_float", 3.0f}});
  w.node("Constant", {}, {"c"}, {{"value_int", int64_t{4}}}).node("Constant", {}, {"d"}, {{"value_ints", ints({5, 6})}});
  w.node("Constant", {}, {"e"}, {{"value_floats", std::vector<float>{7, 8}}});
  for (const char* name : {"a", "b", "c", "d", "e"}) w.output(name);
  const auto y = run_all(w, {});
  ASSERT_EQ(y.size(), 5u);
  EXPECT_EQ(values_of<float>(y[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(values_of<float>(y[1]), (std::vector<float>{3}));
  EXPECT_EQ(values_of<int64_t>(y[2]), (std::vector<int64_t>{4}));
  EXPECT_EQ(values_of<int64_t>(y[3]), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(values_of<float>(y[4]), (std::vector<float>{7, 8}));
}

// What PyTorch exports for x.view(x.shape[0], -1).
TEST(OnnxImport, ComputedShapes) {
  OnnxWriter w(13);
  w.input("x", {"n", int64_t{3}, int64_t{4}})
      .initializer("zero", Tensor::scalar<int64_t>(0))
      .initializer("axes", integers({0}))
      .initializer("rest", integers({-1}));
  w.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "zero"}, {"n"}).node("Unsqueeze", {"n", "axes"}, {"n1"});
  w.node("Concat", {"n1", "rest"}, {"target"}, {{"axis", int64_t{0}}}).node("Reshape", {"x", "target"}, {"y"}).output("y");
  EXPECT_EQ(run(w, {random_f32({5, 3, 4}, 1)}).shape(), (Shape{5, 12}));
}

TEST(OnnxImport, NamesEveryUnknownOpOnce) {
  OnnxWriter w;
  w.domain("com.example", 1).input("x", {int64_t{1}});
  w.node("Ploughshare", {"x"}, {"a"})
      .node("Harrow", {"a"}, {"b"})
      .node("Harrow", {"b"}, {"c"})
      .node("Relu", {"c"}, {"d"}, {}, "com.example")
      .output("d");
  const std::string error = import_error(w);
  EXPECT_NE(error.find("not supported: 'Harrow' (node 'Harrow_1'), 'Ploughshare' (node 'Ploughshare_0'), "
                       "'com.example.Relu' (node 'Relu_3')"),
            std::string::npos)
      << error;
}

TEST(OnnxImport, Opsets) {
  const auto with = [](int64_t opset) { return import_error(one_node("Relu", {number(1)}, {}, opset)); };
  EXPECT_EQ(with(6), "no error");
  EXPECT_NE(with(5).find("the model uses opset 5; opsets 6 to "), std::string::npos);
  EXPECT_NE(with(1000).find("the model uses opset 1000"), std::string::npos);
  OnnxWriter none;
  none.no_opsets().input("x", {}).node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_NE(import_error(none), "no error");
}

TEST(OnnxImport, OtherMeaningsOfOpset6AreRefused) {
  const Tensor pair = tensor<float>({2}, {1, 2}), one = tensor<float>({1}, {1});
  const auto with = [](std::string_view op, const std::vector<Tensor>& inputs,
                       std::initializer_list<std::pair<const char*, Attribute>> attributes) {
    return import_error(one_node(op, inputs, attributes, 6));
  };
  EXPECT_EQ(with("Add", {pair, pair}, {}), "no error");
  EXPECT_EQ(with("Add", {pair, one}, {{"broadcast", int64_t{1}}}), "no error");
  EXPECT_NE(with("Add", {pair, pair}, {{"axis", int64_t{0}}}).find("before opset 7"), std::string::npos);
  EXPECT_NE(with("PRelu", {pair, pair}, {}).find("slope"), std::string::npos);
  EXPECT_EQ(with("Dropout", {pair}, {{"is_test", int64_t{1}}}), "no error");
  EXPECT_NE(with("Dropout", {pair}, {}).find("is_test"), std::string::npos);
}

TEST(OnnxImport, GraphsThatAreBroken) {
  const auto relu = [](OnnxWriter& w) -> OnnxWriter& {
    return w.input("x", {int64_t{1}}).node("Relu", {"x"}, {"y"}).output("y");
  };
  OnnxWriter twice;
  EXPECT_NE(import_error(relu(twice).node("Relu", {"x"}, {"y"})).find("the value 'y' is written twice"), std::string::npos);
  OnnxWriter over_input;
  EXPECT_NE(import_error(relu(over_input).node("Relu", {"y"}, {"x"})).find("the value 'x' is written twice"), std::string::npos);
  OnnxWriter dangling;
  EXPECT_NE(import_error(relu(dangling).node("Neg", {"lost"}, {"z"}))
                .find("node 'Neg_1' (Neg): reads 'lost', which nothing before it writes"),
            std::string::npos);
  OnnxWriter no_output;
  EXPECT_NE(import_error(relu(no_output).output("z")).find("nothing writes the output 'z'"), std::string::npos);
  OnnxWriter optional_output;
  optional_output.input("x", {int64_t{1}}).node("Identity", {"x"}, {"y", "mask"}).output("y");
  EXPECT_NE(import_error(optional_output).find("its optional output 'mask'"), std::string::npos);
}

TEST(OnnxImport, NodesThatLackWhatTheyNeed) {
  for (const char* op : {"Conv",      "MaxPool", "AveragePool", "BatchNormalization",
                         "Gemm",      "Clip",    "Sum",         "Squeeze",
                         "Slice",     "Split",   "Pad",         "Dropout",
                         "Gelu",      "Mod",     "Cast",        "MatMul",
                         "Constant",  "Reshape", "Softmax",     "GlobalAveragePool",
                         "Where",     "Relu",    "Mean",        "Identity",
                         "ReduceSum", "Flatten"}) {
    // Refused by the importer or, at the latest, when shapes are known; never a crash.
    OnnxWriter w;
    w.node(op, {}, {"y"}).output("y");
    const Imported imported(w);
    if (!imported.graph.ok()) continue;
    const auto model = Model::from_graph(*imported.graph, {.isa = best_isa(), .passes = {}}, std::make_shared<ThreadPool>(1));
    ASSERT_TRUE(model.ok());
    EXPECT_FALSE((*model)->run({}).ok()) << op;
  }
}

TEST(OnnxImport, MoreInputsThanAnOpHas) {
  // Trailing inputs must not slip into operands that only our passes use (biases, residuals).
  const Tensor x = random_f32({4, 4}, 1), tiny = random_f32({1}, 2);
  for (const char* op : {"MatMul", "LayerNormalization", "Softmax", "Relu", "Concat", "Gather"}) {
    OnnxWriter w;
    w.input("x", {int64_t{4}, int64_t{4}})
        .initializer("w", random_f32({4, 4}, 3))
        .initializer("scale", random_f32({4}, 3))
        .initializer("tiny", tiny);
    w.node(op, {"x", std::string_view(op) == "MatMul" ? "w" : "scale", "scale", "tiny"}, {"y"}).output("y");
    const Imported imported(w);
    if (!imported.graph.ok()) continue;
    const auto model = Model::from_graph(*imported.graph, {.isa = best_isa(), .passes = {}}, std::make_shared<ThreadPool>(1));
    const auto result = (*model)->run(std::vector<Tensor>{x});
    if (std::string_view(op) == "MatMul" || std::string_view(op) == "LayerNormalization") EXPECT_FALSE(result.ok()) << op;
  }
}

TEST(OnnxImport, ElementsWithoutAType) {
  OnnxWriter input;
  EXPECT_NE(import_error(input.input("x", {int64_t{1}}, onnx::ElementType::COMPLEX64).node("Relu", {"x"}, {"y"}).output("y"))
                .find("elements of type COMPLEX64"),
            std::string::npos);
  OnnxWriter complex;
  EXPECT_NE(import_error(complex.input("x", {int64_t{1}}).node("Cast", {"x"}, {"y"}, {{"to", int64_t{14}}}).output("y"))
                .find("the attribute to is COMPLEX64"),
            std::string::npos);
}

TEST(OnnxImport, NamesTheFile) {
  const std::string path = testing::TempDir() + "/broken.onnx";
  std::ofstream(path, std::ios::binary) << one_node("Ploughshare", {number(1)}).bytes();
  const auto graph = import_onnx(std::filesystem::path(path));
  ASSERT_FALSE(graph.ok());
  EXPECT_TRUE(graph.error().message.starts_with("broken.onnx: ")) << graph.error().message;
  const auto absent = import_onnx(std::filesystem::path("/nowhere/absent.onnx"));
  ASSERT_FALSE(absent.ok());
  EXPECT_NE(absent.error().message.find("absent.onnx"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
