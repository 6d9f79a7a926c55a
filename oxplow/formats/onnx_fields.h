#pragma once
// The messages of onnx.proto as tables: field number, name, form. The reader checks wire types and builds the paths of its errors
// from them; a field that is not here is unknown and skipped.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "oxplow/formats/protobuf.h"

namespace oxplow::onnx {

// The plural forms are repeated fields; of numbers, packed or not.
enum class FieldForm : uint8_t { unknown, skipped, integer, real, text, message, integers, reals, doubles, texts, messages };

struct FieldRule {
  uint32_t number = 0;
  const char* name = "";
  FieldForm form = FieldForm::unknown;
};

constexpr bool is_repeated(FieldForm form) { return form >= FieldForm::integers; }
constexpr bool is_number_list(FieldForm form) { return form >= FieldForm::integers && form <= FieldForm::doubles; }

// The wire type of one value of this form.
constexpr WireType wire_type_of(FieldForm form) {
  switch (form) {
    case FieldForm::integer:
    case FieldForm::integers: return WireType::varint;
    case FieldForm::real:
    case FieldForm::reals: return WireType::fixed32;
    case FieldForm::doubles: return WireType::fixed64;
    default: return WireType::bytes;
  }
}

inline constexpr uint32_t kMaxField = 32;

// One message's fields, by number.
class FieldTable {
 public:
  constexpr FieldTable(std::initializer_list<FieldRule> rules) {
    for (const FieldRule& rule : rules) rules_[rule.number] = rule;
  }
  constexpr const FieldRule& operator[](uint32_t number) const { return rules_[number < kMaxField ? number : 0]; }

 private:
  std::array<FieldRule, kMaxField> rules_{};
};

using enum FieldForm;

inline constexpr FieldTable kModelFields{{1, "ir_version", integer},
                                         {2, "producer_name", text},
                                         {3, "producer_version", text},
                                         {4, "domain", text},
                                         {5, "model_version", integer},
                                         {6, "doc_string", skipped},
                                         {7, "graph", message},
                                         {8, "opset_import", messages},
                                         {14, "metadata_props", messages},
                                         {20, "training_info", messages},
                                         {25, "functions", messages},
                                         {26, "configuration", skipped}};
inline constexpr FieldTable kOperatorSetFields{{1, "domain", text}, {2, "version", integer}};
inline constexpr FieldTable kEntryFields{{1, "key", text}, {2, "value", text}};
inline constexpr FieldTable kTrainingFields{{1, "initialization", message},
                                            {2, "algorithm", message},
                                            {3, "initialization_binding", skipped},
                                            {4, "update_binding", skipped}};
inline constexpr FieldTable kGraphFields{{1, "node", messages},
                                         {2, "name", text},
                                         {5, "initializer", messages},
                                         {10, "doc_string", skipped},
                                         {11, "input", messages},
                                         {12, "output", messages},
                                         {13, "value_info", messages},
                                         {14, "quantization_annotation", skipped},
                                         {15, "sparse_initializer", messages},
                                         {16, "metadata_props", skipped}};
inline constexpr FieldTable kFunctionFields{{1, "name", text},
                                            {4, "input", texts},
                                            {5, "output", texts},
                                            {6, "attribute", texts},
                                            {7, "node", messages},
                                            {8, "doc_string", skipped},
                                            {9, "opset_import", messages},
                                            {10, "domain", text},
                                            {11, "attribute_proto", messages},
                                            {12, "value_info", messages},
                                            {13, "overload", text},
                                            {14, "metadata_props", skipped}};
inline constexpr FieldTable kNodeFields{{1, "input", texts},
                                        {2, "output", texts},
                                        {3, "name", text},
                                        {4, "op_type", text},
                                        {5, "attribute", messages},
                                        {6, "doc_string", skipped},
                                        {7, "domain", text},
                                        {8, "overload", text},
                                        {9, "metadata_props", skipped},
                                        {10, "device_configurations", skipped}};
inline constexpr FieldTable kAttributeFields{{1, "name", text},
                                             {2, "f", real},
                                             {3, "i", integer},
                                             {4, "s", text},
                                             {5, "t", message},
                                             {6, "g", message},
                                             {7, "floats", reals},
                                             {8, "ints", integers},
                                             {9, "strings", texts},
                                             {10, "tensors", messages},
                                             {11, "graphs", messages},
                                             {13, "doc_string", skipped},
                                             {14, "tp", message},
                                             {15, "type_protos", messages},
                                             {20, "type", integer},
                                             {21, "ref_attr_name", text},
                                             {22, "sparse_tensor", message},
                                             {23, "sparse_tensors", messages}};
inline constexpr FieldTable kTensorFields{
    {1, "dims", integers},           {2, "data_type", integer},      {3, "segment", message},        {4, "float_data", reals},
    {5, "int32_data", integers},     {6, "string_data", texts},      {7, "int64_data", integers},    {8, "name", text},
    {9, "raw_data", text},           {10, "double_data", doubles},   {11, "uint64_data", integers},  {12, "doc_string", skipped},
    {13, "external_data", messages}, {14, "data_location", integer}, {16, "metadata_props", skipped}};
inline constexpr FieldTable kSparseTensorFields{{1, "values", message}, {2, "indices", message}, {3, "dims", integers}};
inline constexpr FieldTable kValueInfoFields{
    {1, "name", text}, {2, "type", message}, {3, "doc_string", skipped}, {4, "metadata_props", skipped}};
inline constexpr FieldTable kTypeFields{
    {1, "tensor_type", message}, {4, "sequence_type", message},      {5, "map_type", message},     {6, "denotation", skipped},
    {7, "opaque_type", skipped}, {8, "sparse_tensor_type", message}, {9, "optional_type", message}};
inline constexpr FieldTable kTensorTypeFields{{1, "elem_type", integer}, {2, "shape", message}};
inline constexpr FieldTable kInnerTypeFields{{1, "elem_type", message}};
inline constexpr FieldTable kMapTypeFields{{1, "key_type", integer}, {2, "value_type", message}};
inline constexpr FieldTable kShapeFields{{1, "dim", messages}};
inline constexpr FieldTable kDimensionFields{{1, "dim_value", integer}, {2, "dim_param", text}, {3, "denotation", skipped}};

inline constexpr FieldTable kSegmentFields{};

// How often each field of one message occurs; of a list of numbers, how many numbers.
using FieldCounts = std::array<size_t, kMaxField>;

}  // namespace oxplow::onnx
