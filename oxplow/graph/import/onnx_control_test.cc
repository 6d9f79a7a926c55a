// Control flow, functions, sequences and strings from ONNX files, run.

#include "oxplow/graph/import/onnx.h"
#include "oxplow/graph/import/onnx_writer.h"
#include "oxplow/graph/small_graph.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

using Dim = OnnxWriter::Dim;

struct Loaded {
  explicit Loaded(const OnnxWriter& writer, ModelOptions options = {.isa = best_isa(), .passes = {}}) : bytes(writer.bytes()) {
    auto parsed = parse_onnx(std::as_bytes(std::span(bytes)));
    EXPECT_TRUE(parsed.ok()) << (parsed.ok() ? "" : parsed.error().message);
    if (!parsed.ok()) return;
    auto graph = import_onnx(std::make_shared<const OnnxModel>(parsed.take()));
    if (!graph.ok()) {
      error = graph.error();
      return;
    }
    auto made = Model::from_graph(graph.take(), options, std::make_shared<ThreadPool>(2));
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    if (made.ok()) model = made.take();
  }
  std::vector<Datum> run(const std::vector<Datum>& inputs) {
    auto results = model->run_data(inputs);
    EXPECT_TRUE(results.ok()) << (results.ok() ? "" : results.error().message);
    return results.ok() ? results.take() : std::vector<Datum>(8, Datum(Tensor::scalar<float>(0)));
  }
  Error run_error(const std::vector<Datum>& inputs) {
    auto results = model->run_data(inputs);
    return results.ok() ? Error{} : results.error();
  }

  std::string bytes;
  std::unique_ptr<Model> model;
  Error error;
};

std::vector<float> floats(const Datum& datum) { return values_of<float>(*datum.tensor()); }
Tensor truth(bool value) { return Tensor::scalar<bool>(value); }
Tensor vector_of(std::vector<float> values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return tensor<float>(shape, std::move(values));
}

TEST(OnnxControl, IfRunsOneOfTwoBodies) {
  OnnxWriter then_branch, else_branch, w;
  then_branch.node("Add", {"x", "one"}, {"a"}).output("a");
  else_branch.node("Neg", {"x"}, {"b"}).node("Neg", {"b"}, {"c"}).node("Mul", {"c", "x"}, {"d"}).output("d");
  w.input("condition", {}, onnx::ElementType::BOOL).input("x", {Dim("n")}).initializer("one", number(1));
  w.control("If", {"condition"}, {"y"}, {{"then_branch", &then_branch}, {"else_branch", &else_branch}}).output("y");
  Loaded loaded(w);
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  EXPECT_EQ(floats(loaded.run({truth(true), vector_of({1, 2})})[0]), (std::vector<float>{2, 3}));
  EXPECT_EQ(floats(loaded.run({truth(false), vector_of({1, 3})})[0]), (std::vector<float>{1, 9}));
  EXPECT_EQ(floats(loaded.run({truth(true), vector_of({5})})[0]), (std::vector<float>{6}));
}

// sum += x[i], up to a limit; every sum is a scanned output.
OnnxWriter summing_loop() {
  OnnxWriter body, w;
  body.input("i", {}, onnx::ElementType::INT64).input("go", {}, onnx::ElementType::BOOL).input("sum", {});
  body.node("Gather", {"x", "i"}, {"element"}).node("Add", {"sum", "element"}, {"next"}).node("Less", {"next", "limit"}, {"on"});
  body.node("Identity", {"next"}, {"each"}).output("on").output("next").output("each");
  w.input("count", {}, onnx::ElementType::INT64).input("x", {Dim("n")}).input("limit", {});
  w.initializer("zero", number(0)).initializer("yes", truth(true));
  w.control("Loop", {"count", "yes", "zero"}, {"sum", "sums"}, {{"body", &body}}).output("sum").output("sums");
  return w;
}

TEST(OnnxControl, LoopEndsByCountOrCondition) {
  Loaded loaded(summing_loop());
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  const Tensor x = vector_of({1, 2, 3, 4});
  for (int run = 0; run < 2; ++run) {
    const auto all = loaded.run({Tensor::scalar<int64_t>(4), x, number(100)});
    EXPECT_EQ(floats(all[0]), (std::vector<float>{10}));
    EXPECT_EQ(floats(all[1]), (std::vector<float>{1, 3, 6, 10}));
    EXPECT_EQ(floats(loaded.run({Tensor::scalar<int64_t>(4), x, number(2)})[1]), (std::vector<float>{1, 3}));
  }
}

TEST(OnnxControl, EndlessLoopsStop) {
  OnnxWriter body, w;
  body.input("i", {}, onnx::ElementType::INT64)
      .input("go", {}, onnx::ElementType::BOOL)
      .node("Identity", {"go"}, {"on"})
      .output("on");
  w.input("go", {}, onnx::ElementType::BOOL).initializer("count", Tensor::scalar<int64_t>(INT64_MAX));
  body.input("x", {}).node("Neg", {"x"}, {"y"}).output("y");
  w.initializer("x", number(1)).control("Loop", {"count", "go", "x"}, {"y"}, {{"body", &body}}).output("y");
  Loaded loaded(w, {.isa = best_isa(), .passes = {}, .max_steps = 1000});
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  EXPECT_NE(loaded.run_error({truth(true)}).message.find("more than 1000 steps"), std::string::npos);
}

TEST(OnnxControl, ScanWalksAxesForthAndBack) {
  OnnxWriter body, w;
  body.input("sum", {Dim("n")})
      .input("row", {Dim("n")})
      .node("Add", {"sum", "row"}, {"next"})
      .node("Mul", {"next", "row"}, {"each"});
  body.output("next").output("each");
  w.input("start", {Dim("n")}).input("x", {Dim("n"), Dim("t")});
  w.control("Scan", {"start", "x"}, {"sum", "products"}, {{"body", &body}},
            {{"num_scan_inputs", int64_t{1}},
             {"scan_input_axes", ints({-1})},
             {"scan_input_directions", ints({1})},
             {"scan_output_axes", ints({1})}});
  w.output("sum").output("products");
  Loaded loaded(w);
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  const auto results = loaded.run({vector_of({0, 0}), tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(floats(results[0]), (std::vector<float>{6, 15}));
  EXPECT_EQ(floats(results[1]), (std::vector<float>{9, 10, 6, 36, 55, 60}));  // 3*3 5*2 6*1, 6*6 11*5 15*4
}

TEST(OnnxControl, FunctionsAreInlined) {
  OnnxWriter square, fourth, w;
  square.node("Mul", {"a", "a"}, {"b"});
  fourth.node("square", {"a"}, {"b"}, {}, "local").node("square", {"b"}, {"c"}, {}, "local");
  w.input("x", {Dim("n")}).function("square", {"a"}, {"b"}, square).function("fourth", {"a"}, {"c"}, fourth);
  w.node("fourth", {"x"}, {"y"}, {}, "local").output("y").domain("local", 1);
  Loaded loaded(w);
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  EXPECT_EQ(floats(loaded.run({vector_of({2, 3})})[0]), (std::vector<float>{16, 81}));
}

TEST(OnnxControl, FunctionsThatCallThemselvesOrExplodeAreRefused) {
  OnnxWriter a, b, w;
  a.node("b", {"x"}, {"y"}, {}, "local");
  b.node("a", {"x"}, {"y"}, {}, "local");
  w.input("x", {Dim("n")}).function("a", {"x"}, {"y"}, a).function("b", {"x"}, {"y"}, b);
  w.node("a", {"x"}, {"y"}, {}, "local").output("y");
  EXPECT_NE(Loaded(w).error.message.find("calls itself"), std::string::npos);

  OnnxWriter bomb;
  bomb.input("x", {Dim("n")});
  for (int level = 0; level < 40; ++level) {
    OnnxWriter body;
    const std::string below = "f" + std::to_string(level - 1), name = "f" + std::to_string(level);
    if (level == 0) {
      body.node("Neg", {"x"}, {"z"}).node("Neg", {"z"}, {"y"});
    } else {
      body.node(below, {"x"}, {"z"}, {}, "local").node(below, {"z"}, {"y"}, {}, "local");
    }
    bomb.function(name, {"x"}, {"y"}, body);
  }
  bomb.node("f39", {"x"}, {"y"}, {}, "local").output("y");
  EXPECT_NE(Loaded(bomb).error.message.find("expand to more than"), std::string::npos);
}

TEST(OnnxControl, UnknownOpsAreListedAtOnceFromBodiesToo) {
  OnnxWriter then_branch, else_branch, w;
  then_branch.node("Plough", {"x"}, {"a"}).output("a");
  else_branch.node("Ox", {"x"}, {"b"}, {}, "farm").output("b");
  w.input("condition", {}, onnx::ElementType::BOOL).input("x", {});
  w.control("If", {"condition"}, {"y"}, {{"then_branch", &then_branch}, {"else_branch", &else_branch}}).output("y");
  const Loaded loaded(w);
  EXPECT_EQ(loaded.error.code, ErrorCode::unsupported);
  EXPECT_NE(loaded.error.message.find("Plough"), std::string::npos);
  EXPECT_NE(loaded.error.message.find("farm.Ox"), std::string::npos) << loaded.error.message;
}

TEST(OnnxControl, SequencesAreBuiltAndTakenApart) {
  OnnxWriter w;
  w.input("x", {int64_t{4}, int64_t{2}})
      .initializer("two", Tensor::scalar<int64_t>(2))
      .initializer("last", Tensor::scalar<int64_t>(-1));
  w.node("SplitToSequence", {"x", "two"}, {"parts"}).node("SequenceAt", {"parts", "last"}, {"y"});
  w.node("SequenceLength", {"parts"}, {"n"}).node("SequenceErase", {"parts", "last"}, {"fewer"});
  w.node("SequenceInsert", {"fewer", "y", "n"}, {"wrong"}).output("y").output("n").output("fewer");
  Loaded loaded(w);
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  const auto results = loaded.run({tensor<float>({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})});
  EXPECT_EQ(floats(results[0]), (std::vector<float>{5, 6, 7, 8}));
  EXPECT_EQ(values_of<int64_t>(*results[1].tensor()), ints({2}));
  ASSERT_TRUE(results[2].sequence());
  EXPECT_EQ(results[2].sequence()->size(), 1u);
}

TEST(OnnxControl, StringsAreComputed) {
  OnnxWriter w;
  w.input("x", {Dim("n")}, onnx::ElementType::STRING);
  w.node("Constant", {}, {"tail"}, {{"value_strings", std::vector<std::string>{"!"}}})
      .node("StringConcat", {"x", "tail"}, {"joined"});
  w.node("StringNormalizer", {"joined"}, {"upper"}, {{"case_change_action", std::string("UPPER")}})
      .node("Equal", {"x", "upper"}, {"same"});
  w.node("Constant", {}, {"shape"}, {{"value_ints", ints({-1, 1})}}).node("Reshape", {"upper", "shape"}, {"y"});
  w.node("Concat", {"y", "y"}, {"twice"}, {{"axis", int64_t{1}}}).output("twice").output("same");
  Loaded loaded(w);
  ASSERT_TRUE(loaded.model) << loaded.error.message;
  const auto results = loaded.run({string_tensor({"ochs", "p\xc3\xa4r"}, Shape{2})});
  EXPECT_EQ(values_of<std::string_view>(*results[0].tensor()),
            (std::vector<std::string_view>{"OCHS!", "OCHS!", "P\xc3\x84R!", "P\xc3\x84R!"}));
  EXPECT_EQ(values_of<bool>(*results[1].tensor()), (std::vector<bool>{false, false}));

  OnnxWriter numbers;
  numbers.input("x", {Dim("n")}, onnx::ElementType::STRING).node("Cast", {"x"}, {"y"}, {{"to", int64_t{1}}});
  numbers.node("Cast", {"y"}, {"z"}, {{"to", int64_t{8}}}).output("y").output("z");
  Loaded cast(numbers);
  ASSERT_TRUE(cast.model) << cast.error.message;
  const auto cast_results = cast.run({string_tensor({"1.5", "-INF", "2e3"}, Shape{3})});
  EXPECT_EQ(floats(cast_results[0]), (std::vector<float>{1.5f, -INFINITY, 2000}));
  EXPECT_EQ(values_of<std::string_view>(*cast_results[1].tensor()), (std::vector<std::string_view>{"1.5", "-INF", "2000"}));
  EXPECT_NE(cast.run_error({string_tensor({"ox"}, Shape{1})}).message.find("'ox' is no f32"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
