// Einsum: the sum of products of the inputs over the labels that the result lacks (attribute equation, "bij,bjk->bik"; "..." stands for
// axes without labels). Without "->" the result has the labels that occur once, in alphabetical order. Right rather than fast.

#include <algorithm>
#include <cctype>

#include "oxplow/base/elements.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

constexpr int kEllipsis = 128;  // the label of the first axis under "..." that the most axes have; next ones follow

// Labels of each axis of each input, and of the result: characters, or kEllipsis and more.
struct Labels {
  std::vector<std::vector<int>> inputs;
  std::vector<int> result;
};

Error bad_equation(const std::string& what) { return {ErrorCode::invalid_model, "the equation " + what}; }

// The labels of one term; `dots` is how many axes "..." stands for, at the right end of the `most` labels that it has anywhere.
Result<std::vector<int>> labels_of(std::string_view term, int dots, int most) {
  std::vector<int> labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term.substr(i, 3) == "...") {
      for (int k = most - dots; k < most; ++k) labels.push_back(kEllipsis + k);
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(term[i]);
    } else {
      return bad_equation("has a label that is no letter");
    }
  }
  return labels;
}

int letters(std::string_view term) {
  return static_cast<int>(term.size()) - (term.find("...") == std::string_view::npos ? 0 : 3);
}

Result<Labels> parse(const InferContext& c) {
  std::string text = c.attributes.text("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  std::vector<std::string> terms(1);
  for (char letter : text.substr(0, arrow)) {
    if (letter == ',') {
      terms.emplace_back();
    } else {
      terms.back() += letter;
    }
  }
  if (terms.size() != c.inputs.size())
    return bad_equation("has " + std::to_string(terms.size()) + " terms for " + std::to_string(c.inputs.size()) + " inputs");
  int most = 0;
  std::vector<int> dots;
  for (size_t i = 0; i < terms.size(); ++i) {
    const int rest = c.shape(static_cast<int>(i)).rank() - letters(terms[i]);
    if (rest < 0 || (rest > 0 && terms[i].find("...") == std::string::npos))
      return bad_equation("does not fit an input of " + to_string(c.shape(static_cast<int>(i))));
    dots.push_back(rest);
    most = std::max(most, rest);
  }
  Labels labels;
  std::map<int, int> counts;
  for (size_t i = 0; i < terms.size(); ++i) {
    OXPLOW_ASSIGN(auto of_input, labels_of(terms[i], dots[i], most));
    for (int label : of_input) ++counts[label];
    labels.inputs.push_back(std::move(of_input));
  }
  if (arrow != std::string::npos) {
    OXPLOW_ASSIGN(labels.result, labels_of(std::string_view(text).substr(arrow + 2), most, most));
    return labels;
  }
  for (int k = 0; k < most; ++k) labels.result.push_back(kEllipsis + k);
  for (const auto& [label, count] : counts) {
    if (label < kEllipsis && count == 1) labels.result.push_back(label);
  }
  return labels;
}

// The labels' extents; 1 is broadcast.
Result<std::map<int, int64_t>> extents_of(const InferContext& c, const Labels& labels) {
  std::map<int, int64_t> extents;
  for (size_t i = 0; i < labels.inputs.size(); ++i) {
    for (size_t k = 0; k < labels.inputs[i].size(); ++k) {
      const int64_t extent = c.shape(static_cast<int>(i))[static_cast<int>(k)];
      int64_t& known = extents.emplace(labels.inputs[i][k], extent).first->second;
      if (known == 1) known = extent;
      if (extent != known && extent != 1) return bad_equation("gives one label to axes of two extents");
    }
  }
  for (size_t i = 0; i < labels.result.size(); ++i) {
    if (!extents.contains(labels.result[i])) return bad_equation("has a label in its result only");
    if (std::count(labels.result.begin(), labels.result.end(), labels.result[i]) > 1)
      return bad_equation("has a label twice in its result");
  }
  if (labels.result.size() > static_cast<size_t>(kMaxRank) ||
      extents.size() - labels.result.size() > static_cast<size_t>(kMaxRank))
    return Error{ErrorCode::unsupported, "an Einsum of more than 10 axes"};
  return extents;
}

Result<TensorTypes> infer_einsum(const InferContext& c) {
  if (c.inputs.size() > static_cast<size_t>(kMaxRunOperands) - 1)
    return Error{ErrorCode::unsupported, "an Einsum of more than " + std::to_string(kMaxRunOperands - 1) + " inputs"};
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(static_cast<int>(i)) || c.type(static_cast<int>(i)).dtype != c.type(0).dtype)
      return Error{ErrorCode::invalid_model, "an input is missing or of another type than the first"};
  }
  if (!is_arithmetic(c.type(0).dtype)) return Error{ErrorCode::unsupported, "an Einsum of " + to_string(c.type(0))};
  OXPLOW_ASSIGN(const Labels labels, parse(c));
  OXPLOW_ASSIGN(const auto extents, extents_of(c, labels));
  Shape to;
  for (int label : labels.result) to.push_back(extents.at(label));
  return TensorTypes{{c.type(0).dtype, to}};
}

// An iteration space over some of the labels, and the inputs' strides in it.
struct LabelSpace {
  Shape extents;
  std::vector<Dims> strides;
};

// The strides of axes that share a label add up: a diagonal.
LabelSpace space_of(const PrepareContext& c, const Labels& labels, const std::map<int, int64_t>& extents,
                    const std::vector<int>& chosen) {
  LabelSpace space;
  space.strides.resize(labels.inputs.size());
  for (int label : chosen) {
    space.extents.push_back(extents.at(label));
    for (size_t i = 0; i < labels.inputs.size(); ++i) {
      int64_t stride = 0;
      for (size_t k = 0; k < labels.inputs[i].size(); ++k) {
        const int axis = static_cast<int>(k);
        if (labels.inputs[i][k] == label && c.inputs[i].type.shape[axis] != 1) stride += c.inputs[i].strides[axis];
      }
      space.strides[i].push_back(stride);
    }
  }
  if (chosen.empty()) {
    space.extents.push_back(1);
    for (Dims& s : space.strides) s.push_back(0);
  }
  return space;
}

template <typename Wide>
Wide sum_of_products(const LabelSpace& space, std::span<const DType> types, const Buffers& b, const RunOffsets& first,
                     int64_t step, const std::vector<Dims>& outer) {
  Wide sum = 0, product[kRunBlock], factor[kRunBlock];
  for_each_run(space.extents, space.strides, 0, elements_of(space.extents), [&](const RunOffsets& at, int64_t n) {
    for (size_t i = 0; i < types.size(); ++i) {
      const int64_t begin = first[i] + step * outer[i].back() + at[i];
      load_elements(types[i], b.inputs[i], begin, space.strides[i].back(), n, i == 0 ? product : factor);
      for (int64_t k = 0; i > 0 && k < n; ++k) product[k] *= factor[k];
    }
    for (int64_t k = 0; k < n; ++k) sum += product[k];
  });
  return sum;
}

Result<std::unique_ptr<Step>> prepare_einsum(const PrepareContext& c) {
  const Labels labels = *parse(c.infer());
  const auto extents = *extents_of(c.infer(), labels);
  std::vector<int> summed;
  for (const auto& [label, extent] : extents) {
    if (std::find(labels.result.begin(), labels.result.end(), label) == labels.result.end()) summed.push_back(label);
  }
  const LabelSpace outer = space_of(c, labels, extents, labels.result);
  LabelSpace inside = space_of(c, labels, extents, summed);
  merge_axes(inside.extents, inside.strides);
  std::vector<DType> types;
  for (const Operand& input : c.inputs) types.push_back(input.type.dtype);
  const DType result = c.out().type.dtype;
  const int64_t results = elements_of(outer.extents);
  const int tasks = task_count(results, static_cast<double>(elements_of(inside.extents)) * 3 + 30, c.threads());
  const auto step_of = [&](auto wide) {
    using Wide = decltype(wide);
    return make_step("einsum", tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(results, tasks, task);
      int64_t done = range.begin;
      for_each_run(outer.extents, outer.strides, range.begin, range.end, [&](const RunOffsets& at, int64_t n) {
        Wide block[kRunBlock];
        for (int64_t i = 0; i < n; ++i) block[i] = sum_of_products<Wide>(inside, types, b, at, i, outer.strides);
        store_elements(result, b.outputs[0], done, 1, n, block);
        done += n;
      });
    });
  };
  if (is_float(result)) return step_of(double{});
  return step_of(uint64_t{});  // wraps, with and without signs alike
}

}  // namespace

namespace ops {
constinit const OpSpec Einsum{.name = "Einsum", .infer = infer_einsum, .prepare = prepare_einsum, .accepts_input = accepts_any};
}  // namespace ops
}  // namespace oxplow
