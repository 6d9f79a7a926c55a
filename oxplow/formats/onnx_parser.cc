#include "oxplow/formats/onnx_parser.h"

#include <algorithm>
#include <bit>

namespace oxplow::onnx {
namespace {

// Numbers in a packed run; nothing when the run is malformed. A varint's last byte is below 0x80.
std::optional<size_t> packed_count(FieldForm form, std::span<const std::byte> bytes) {
  const size_t width = form == FieldForm::reals ? 4 : 8;
  if (form != FieldForm::integers) return bytes.size() % width == 0 ? std::optional(bytes.size() / width) : std::nullopt;
  if (!bytes.empty() && bytes.back() >= std::byte{0x80}) return std::nullopt;
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](std::byte b) { return b < std::byte{0x80}; }));
}

}  // namespace

Result<std::span<const std::byte>> ExternalFiles::bytes(std::string_view location) {
  OXPLOW_ASSIGN(std::string normal, normal_location(location));
  if (weights_ && normal == kWeightsLocation) return *weights_;
  const auto found = std::lower_bound(locations_.begin(), locations_.end(), normal);
  const auto at = found - locations_.begin();
  if (found != locations_.end() && *found == normal) return files_[order_[static_cast<size_t>(at)]].bytes();
  if (folder_.empty()) {
    return Error{ErrorCode::invalid_model,
                 "external file " + in_quotes(location) + ": a model in memory has no folder to find it in"};
  }
  if (!opened_) {
    OXPLOW_ASSIGN(opened_, ContainedFolder::open(folder_));
  }
  OXPLOW_ASSIGN(MappedFile file, opened_->map(normal));
  const auto content = file.bytes();
  order_.insert(order_.begin() + at, files_.size());
  locations_.insert(found, std::move(normal));
  files_.push_back(std::move(file));
  return content;
}

const FieldTable& Parser::table_of(const Target& target) {
  static constexpr const FieldTable* kTables[] = {&kModelFields,     &kGraphFields,       &kFunctionFields,     &kNodeFields,
                                                  &kAttributeFields, &kTensorFields,      &kSparseTensorFields, &kValueInfoFields,
                                                  &kTypeFields,      &kOperatorSetFields, &kEntryFields,        &kDimensionFields,
                                                  &kTrainingFields,  &kTensorTypeFields,  &kShapeFields,        &kInnerTypeFields,
                                                  &kMapTypeFields,   &kEntryFields,       &kSegmentFields};
  static_assert(std::size(kTables) == std::variant_size_v<Target>);
  return *kTables[target.index()];
}

std::string Parser::path() const {
  std::string text;
  for (const Frame& frame : stack_) {
    if (!frame.at) continue;
    if (!text.empty()) text += '.';
    text += frame.at->name;
    const FieldForm form = frame.at->form;
    if (is_repeated(form) && !is_number_list(form)) text += '[' + std::to_string(frame.seen[frame.at->number] - 1) + ']';
  }
  return text;
}

bool Parser::fail(uint64_t offset, const std::string& what, ErrorCode code) {
  const std::string where = path();
  error_ = {code, "onnx: at byte " + std::to_string(offset) + ": " + (where.empty() ? "" : where + ": ") + what};
  return false;
}

Result<ModelProto> Parser::parse(std::span<const std::byte> bytes) {
  ModelProto model;
  WireField whole;
  whole.bytes = bytes;
  if (!open(&model, whole) || !run()) return error_;
  return model;
}

bool Parser::run() {
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    WireField field;
    if (frame.reader.next(field)) {
      const FieldRule& rule = (*frame.table)[field.number];
      if (rule.form == FieldForm::unknown || rule.form == FieldForm::skipped) continue;
      frame.at = &rule;
      ++frame.seen[rule.number];
      const auto accept_into = [&](auto& target) {
        if constexpr (std::is_pointer_v<std::remove_reference_t<decltype(target)>>) {
          return accept(*target, field);
        } else {
          return accept(target, field);
        }
      };
      Target target = frame.target;  // a copy: accepting may push a frame, which moves this one
      if (!std::visit(accept_into, target)) return false;
      continue;
    }
    frame.at = nullptr;
    if (frame.reader.failure()) return fail(frame.reader.offset(), frame.reader.failure());
    if (!finish(frame)) return false;
    stack_.pop_back();
  }
  return true;
}

bool Parser::open(Target target, const WireField& field) {
  if (std::cmp_greater_equal(stack_.size(), budget_.depth)) return fail(field.offset, "messages are nested too deep");
  if (!budget_.spend_steps(1)) return fail(field.offset, "the file has too many parts");
  Frame& frame = stack_.emplace_back();
  frame.target = std::move(target);
  frame.table = &table_of(frame.target);
  frame.offset = field.content;
  frame.reader = WireReader(field.bytes, field.content);
  if (!count(frame)) return false;
  frame.reader = WireReader(field.bytes, field.content);
  frame.at = nullptr;
  frame.seen = {};
  if (!reserve(frame)) return false;
  if (auto* tensor = std::get_if<TensorProto*>(&frame.target)) {
    (*tensor)->message = field.bytes;
    (*tensor)->offset = field.content;
    external_ = {};
  }
  if (std::holds_alternative<ExternalEntry>(frame.target)) external_.entry = {};
  return true;
}

bool Parser::count(Frame& frame) {
  WireField field;
  while (frame.reader.next(field)) {
    const FieldRule& rule = (*frame.table)[field.number];
    if (rule.form == FieldForm::unknown && !budget_.spend_steps(1)) return fail(field.offset, "too many unknown fields");
    if (rule.form == FieldForm::unknown || rule.form == FieldForm::skipped) continue;
    frame.at = &rule;
    ++frame.seen[rule.number];
    size_t values = 1;
    if (is_number_list(rule.form) && field.type == WireType::bytes) {
      const auto packed = packed_count(rule.form, field.bytes);
      if (!packed) return fail(field.offset, "malformed packed numbers");
      values = *packed;
    } else if (field.type != wire_type_of(rule.form)) {
      return fail(field.offset, std::string("is ") + name_of(field.type) + ", must be " + name_of(wire_type_of(rule.form)));
    }
    frame.counts[rule.number] += values;
    if (rule.form == FieldForm::message && frame.counts[rule.number] > 1) return fail(field.offset, "is given twice");
  }
  frame.at = nullptr;
  return frame.reader.failure() ? fail(frame.reader.offset(), frame.reader.failure()) : true;
}

template <typename T>
bool Parser::room(std::vector<T>& list, size_t count) {
  if (count == 0) return true;
  constexpr size_t kHeapHeader = 32;
  if (!budget_.spend_bytes(count, sizeof(T)) || !budget_.spend_bytes(1, kHeapHeader)) {
    return fail(stack_.back().offset, "the file needs more memory than a file of its size may");
  }
  list.reserve(count);
  return true;
}

bool Parser::reserve(Frame& frame) {
  const FieldCounts& n = frame.counts;
  if (auto* model = std::get_if<ModelProto*>(&frame.target)) {
    ModelProto& m = **model;
    return room(m.opset_imports, n[8]) && room(m.metadata, n[14]) && room(m.training_graphs, 2 * n[20]) &&
           room(m.functions, n[25]);
  }
  if (auto* graph = std::get_if<GraphProto*>(&frame.target)) {
    GraphProto& g = **graph;
    return room(g.nodes, n[1]) && room(g.initializers, n[5]) && room(g.inputs, n[11]) && room(g.outputs, n[12]) &&
           room(g.value_info, n[13]) && room(g.sparse_initializers, n[15]);
  }
  if (auto* function = std::get_if<FunctionProto*>(&frame.target)) {
    FunctionProto& f = **function;
    return room(f.inputs, n[4]) && room(f.outputs, n[5]) && room(f.attribute_names, n[6]) && room(f.nodes, n[7]) &&
           room(f.opset_imports, n[9]) && room(f.attributes, n[11]) && room(f.value_info, n[12]);
  }
  if (auto* node = std::get_if<NodeProto*>(&frame.target)) {
    NodeProto& d = **node;
    return room(d.inputs, n[1]) && room(d.outputs, n[2]) && room(d.attributes, n[5]);
  }
  if (auto* attribute = std::get_if<AttributeProto*>(&frame.target)) {
    AttributeProto& a = **attribute;
    return room(a.tensors, n[5] + n[10]) && room(a.graphs, n[6] + n[11]) && room(a.floats, n[7]) && room(a.ints, n[8]) &&
           room(a.strings, n[9]) && room(a.types, n[14] + n[15]) && room(a.sparse_tensors, n[22] + n[23]);
  }
  if (auto* type = std::get_if<TypeProto*>(&frame.target)) return room((*type)->inner, n[4] + n[5] + n[9]);
  if (auto* shape = std::get_if<ShapeOfType>(&frame.target)) return check_rank(n[1]) && room(shape->type->shape, n[1]);
  if (std::holds_alternative<TensorProto*>(frame.target)) return check_rank(n[1]);
  if (std::holds_alternative<SparseTensorProto*>(frame.target)) return check_rank(n[3]);
  return true;
}

bool Parser::check_rank(size_t rank) {
  if (rank <= kMaxRank) return true;
  // Nobody means a tensor of thousands of axes; one of a dozen may be sound and still not for us.
  constexpr size_t kSoundRank = 64;
  return fail(stack_.back().offset, std::to_string(rank) + " axes; at most " + std::to_string(kMaxRank) + " are supported",
              rank <= kSoundRank ? ErrorCode::unsupported : ErrorCode::invalid_model);
}

bool Parser::append(std::vector<int64_t>& list, const WireField& f) {
  if (f.type == WireType::varint) {
    list.push_back(static_cast<int64_t>(f.scalar));
    return true;
  }
  ByteReader packed(f.bytes, f.content);
  while (!packed.at_end()) {
    const uint64_t at = packed.offset();
    const auto value = read_varint(packed);
    if (!value) return fail(at, "unterminated or too large varint");
    list.push_back(static_cast<int64_t>(*value));
  }
  return true;
}

bool Parser::append(std::vector<float>& list, const WireField& f) {
  if (f.type == WireType::fixed32) {
    list.push_back(std::bit_cast<float>(static_cast<uint32_t>(f.scalar)));
    return true;
  }
  ByteReader packed(f.bytes, f.content);
  while (const auto value = packed.little<float>()) list.push_back(*value);
  return true;
}

// Extents of a tensor. One that is negative is reported where it stands; the rank was checked when the fields were counted.
bool Parser::append(Shape& dims, const WireField& f) {
  std::vector<int64_t> extents;
  if (!append(extents, f)) return false;
  for (int64_t extent : extents) {
    if (extent < 0) {
      return fail(f.offset, "negative extent " + std::to_string(extent));
    }
    dims.push_back(extent);
  }
  return true;
}

}  // namespace oxplow::onnx
