// Classify: the class that each row of scores [N, C] names, and the scores of all classes. Without `binary` the class is that of the
// greatest score (the first of equals, NaN never). With it C is 1 and there are two classes: the second one's score s is over 0, the
// other's is -s ("signed"); or it is over 1/2, the other's is 1 - s ("share").

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

enum class Binary { no, is_signed, share };

Result<Binary> binary_of(const Attributes& attributes) {
  const std::string kind = attributes.text("binary", "");
  if (kind.empty()) return Binary::no;
  if (kind == "signed") return Binary::is_signed;
  if (kind == "share") return Binary::share;
  return Error{ErrorCode::invalid_model, "scores of the unknown kind '" + kind + "'"};
}

Result<TensorTypes> infer_classify(const InferContext& c) {
  OXPLOW_ASSIGN(const Binary binary, binary_of(c.attributes));
  const Shape& x = c.shape(0);
  if (x.rank() != 2 || x[1] < 1 || (binary != Binary::no && x[1] != 1))
    return Error{ErrorCode::invalid_model, "classes cannot be told by scores of " + to_string(c.type(0))};
  if (c.type(0).dtype != DType::f32) return Error{ErrorCode::unsupported, "classes by scores of " + to_string(c.type(0))};
  return TensorTypes{{DType::i64, Shape{x[0]}}, {DType::f32, Shape{x[0], binary == Binary::no ? x[1] : 2}}};
}

void choose(const float* scores, int64_t classes, int64_t* best, float* out) {
  int64_t at = 0;
  for (int64_t k = 1; k < classes; ++k) {
    if (scores[k] > scores[at] || scores[at] != scores[at]) at = k;
  }
  *best = at;
  if (out == nullptr) return;
  for (int64_t k = 0; k < classes; ++k) out[k] = scores[k];
}

void choose_of_two(float score, Binary binary, int64_t* best, float* out) {
  *best = score > (binary == Binary::share ? 0.5f : 0.0f);
  if (out == nullptr) return;
  out[0] = binary == Binary::share ? 1.0f - score : -score;
  out[1] = score;
}

Result<std::unique_ptr<Step>> prepare_classify(const PrepareContext& c) {
  const Binary binary = *binary_of(c.attributes);
  const int64_t rows = c.in(0).type.shape[0], classes = c.in(0).type.shape[1], columns = binary == Binary::no ? classes : 2;
  const bool wants_scores = c.outputs.size() > 1 && c.out(1).present, wants_class = c.out(0).present;
  const int tasks = task_count(rows, 2.0 * static_cast<double>(columns), c.threads());
  auto step = make_step("classify", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    for (int64_t r = range.begin; r < range.end; ++r) {
      int64_t unread;
      int64_t* best = wants_class ? b.out<int64_t>() + r : &unread;
      float* out = wants_scores ? b.out<float>(1) + r * columns : nullptr;
      if (binary == Binary::no) {
        choose(b.in<float>(0) + r * classes, classes, best, out);
      } else {
        choose_of_two(b.in<float>(0)[r], binary, best, out);
      }
    }
  });
  step->why = "rows";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec Classify{.name = "Classify", .infer = infer_classify, .prepare = prepare_classify};
}  // namespace ops
}  // namespace oxplow
