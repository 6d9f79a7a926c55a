// Every op, its inputs seen through windows of other tensors: transposed, reversed, cut out, broadcast. A plan may let the op read such
// an input as it lies or copy it first; the result must be the dense one's.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

enum class Lie { transposed, reversed, cut, strided, broadcast };
constexpr Lie kLies[] = {Lie::transposed, Lie::reversed, Lie::cut, Lie::strided, Lie::broadcast};

ValueId slice(SmallGraph& g, ValueId x, int axis, int64_t start, int64_t end, int64_t step) {
  return g.op("Slice", {x, g.constant(integers({start})), g.constant(integers({end})), g.constant(integers({axis})),
                        g.constant(integers({step}))});
}

// Adds an input whose window of extents `shape` is the result. The window lies as `lie` says, along `axis`.
ValueId window(SmallGraph& g, const TensorType& type, Lie lie, int axis) {
  const Shape& shape = type.shape;
  const int rank = shape.rank();
  const std::string name = "x" + std::to_string(g.graph.inputs.size());
  Shape whole = shape;
  switch (lie) {
    case Lie::transposed: {
      // Axes `axis` and the next change places.
      std::vector<int64_t> perm;
      for (int i = 0; i < rank; ++i) perm.push_back(i);
      const int other = (axis + 1) % rank;
      std::swap(perm[static_cast<size_t>(axis)], perm[static_cast<size_t>(other)]);
      std::swap(whole[axis], whole[other]);
      return g.op("Transpose", {g.input(name, {type.dtype, whole})}, attributes_of({{"perm", perm}}));
    }
    case Lie::reversed: return slice(g, g.input(name, type), axis, -1, -1000000, -1);
    case Lie::cut: whole[axis] += 5; return slice(g, g.input(name, {type.dtype, whole}), axis, 3, 3 + shape[axis], 1);
    case Lie::strided:
      whole[axis] = whole[axis] * 2 + 1;
      return slice(g, g.input(name, {type.dtype, whole}), axis, 1, 1 + 2 * shape[axis], 2);
    case Lie::broadcast: {
      whole[axis] = 1;
      std::vector<int64_t> extents(shape.begin(), shape.end());
      return g.op("Expand", {g.input(name, {type.dtype, whole}), g.constant(integers(extents))});
    }
  }
  return kNoValue;
}

struct OpCase {
  const char* op;
  std::vector<Shape> inputs;
  std::vector<Tensor> constants = {};  // after the inputs
  Attributes attributes = {};
};

std::vector<OpCase> cases() {
  const auto perm = [](std::initializer_list<int64_t> p) { return attributes_of({{"perm", ints(p)}}); };
  const auto axis = [](int64_t a) { return attributes_of({{"axis", a}}); };
  const auto pads = attributes_of({{"pads", ints({1, 1, 1, 1})}});
  Attributes grouped = pads;
  grouped.set("group", int64_t{8});
  return {
      {"Relu", {{4, 5, 6}}},
      {"Add", {{4, 5, 6}, {4, 5, 6}}},
      {"Mul", {{4, 5, 6}, {5, 1}}},
      {"Less", {{4, 5}, {4, 5}}},
      {"Softmax", {{4, 5, 6}}},
      {"Softmax", {{4, 5, 6}}, {}, axis(1)},
      {"ReduceMean", {{4, 5, 6}}, {integers({1})}},
      {"ReduceMax", {{4, 5, 6}}, {integers({0, 2})}},
      {"ReduceSum", {{4, 5, 6, 3}}, {integers({3})}},
      {"LayerNormalization", {{4, 5, 6}}, {random_f32({6}, 1), random_f32({6}, 2)}},
      {"Linear", {{4, 5, 6}}, {random_f32({6, 7}, 1), random_f32({7}, 2)}},
      {"Linear", {{4, 6}, {6, 7}}},
      {"MatMul", {{4, 5, 6}, {4, 6, 7}}},
      {"MatMul", {{3, 4, 5, 6}, {6, 7}}},
      {"MatMul", {{6, 6}, {6, 6}}},
      {"Attention", {{2, 5, 3, 8}, {2, 7, 3, 8}, {2, 7, 3, 8}}},
      {"Attention", {{2, 5, 3, 8}, {2, 7, 3, 8}, {2, 7, 3, 8}, {2, 3, 5, 7}}},
      {"Conv", {{2, 6, 7, 8}}, {random_f32({9, 8, 3, 3}, 1)}, pads},
      {"Conv", {{2, 6, 7, 8}}, {random_f32({9, 8, 3, 3}, 1)}},
      {"Conv", {{2, 6, 7, 8}}, {random_f32({9, 8, 1, 1}, 1)}},
      {"Conv", {{2, 6, 7, 8}}, {random_f32({8, 1, 3, 3}, 1)}, grouped},
      {"MaxPool", {{2, 6, 7, 8}}, {}, attributes_of({{"kernel_shape", ints({3, 3})}, {"pads", ints({1, 1, 1, 1})}})},
      {"AveragePool", {{2, 6, 7, 8}}, {}, attributes_of({{"kernel_shape", ints({2, 2})}})},
      {"Gather", {{4, 5, 6}}, {integers({3, 0, 2})}, axis(1)},
      {"Concat", {{4, 5}, {4, 5}, {4, 5}}, {}, axis(1)},
      {"Concat", {{4, 5}, {2, 5}}, {}, axis(0)},
      {"Pad", {{4, 5, 6}}, {integers({1, 0, 2, -1, 2, 0}), number(7)}},
      {"Cast", {{4, 5, 6}}, {}, attributes_of({{"to", static_cast<int64_t>(DType::i32)}})},
      {"Cast", {{4, 5, 6}}, {}, attributes_of({{"to", static_cast<int64_t>(DType::f64)}})},
      {"Reshape", {{4, 6}}, {integers({2, 2, 2, 3})}},
      {"Reshape", {{4, 6}}, {integers({24})}},
      {"Transpose", {{4, 5, 6}}, {}, perm({2, 0, 1})},
      {"Expand", {{4, 1, 6}}, {integers({2, 4, 3, 6})}},
      {"Squeeze", {{4, 5, 1}}},
  };
}

TEST(StridedInputs, GiveTheDenseResult) {
  int count = 0;
  for (const OpCase& c : cases()) {
    for (Lie lie : kLies) {
      for (size_t which = 0; which < c.inputs.size(); ++which) {
        for (int axis = 0; axis < c.inputs[which].rank(); ++axis) {
          SmallGraph g;
          std::vector<ValueId> ids;
          for (size_t i = 0; i < c.inputs.size(); ++i) {
            const TensorType type{DType::f32, c.inputs[i]};
            ids.push_back(i == which ? window(g, type, lie, axis) : g.input("x" + std::to_string(i), type));
          }
          const ValueId seen = ids[which];
          for (const Tensor& constant : c.constants) ids.push_back(g.constant(constant));
          const ValueId y = g.op(c.op, ids, c.attributes);
          g.output(y);
          // The same, with the window's elements given densely.
          SmallGraph h;
          std::vector<Tensor> given = g.random_inputs(), dense = given;
          SmallGraph just_window = g;
          just_window.graph.outputs = {seen};
          just_window.graph.remove_dead();
          dense[which] = op_by_op(just_window.graph, given)[0];
          std::vector<ValueId> plain;
          for (size_t i = 0; i < c.inputs.size(); ++i)
            plain.push_back(h.input("x" + std::to_string(i), {DType::f32, c.inputs[i]}));
          for (const Tensor& constant : c.constants) plain.push_back(h.constant(constant));
          h.output(h.op(c.op, plain, c.attributes));
          const auto every_pass = [] {
            std::vector<std::string> names;
            for (const NamedPass& pass : all_passes()) names.emplace_back(pass.name);
            return names;
          }();
          const auto actual = planned(g.graph, given, every_pass), expected = planned(h.graph, dense, every_pass);
          ASSERT_EQ(actual.size(), 1u);
          const std::string where = std::string(c.op) + ", input " + std::to_string(which) + ", axis " + std::to_string(axis) +
                                    ", lying " + std::to_string(static_cast<int>(lie));
          SCOPED_TRACE(where);
          if (const std::string_view op = c.op; op.starts_with("Reduce") || op == "Attention") {
            expect_close(actual[0], expected[0], 1e-6);  // the order of the arithmetic follows the layout
          } else {
            ASSERT_TRUE(same_bits(actual[0], expected[0])) << g.graph.to_text();
          }
          if (HasFailure()) return;
          ++count;
        }
      }
    }
  }
  EXPECT_GT(count, 500);
}

}  // namespace
}  // namespace oxplow
