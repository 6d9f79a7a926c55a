#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/formats/contained_file.h"
#include "oxplow/formats/onnx.h"
#include "oxplow/formats/onnx_fields.h"
#include "oxplow/formats/protobuf.h"

namespace oxplow::onnx {

// Maps the external files that a model's tensors name, each once.
class ExternalFiles {
 public:
  // `folder` empty: every external file is refused.
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  // There is one file, kWeightsLocation, and this is what it holds.
  explicit ExternalFiles(std::span<const std::byte> weights) : weights_(weights) {}

  // The whole content of the file at `location`.
  Result<std::span<const std::byte>> bytes(std::string_view location);
  std::vector<MappedFile> take() { return std::move(files_); }

 private:
  std::filesystem::path folder_;
  std::optional<std::span<const std::byte>> weights_;
  std::optional<ContainedFolder> opened_;
  std::vector<std::string> locations_;  // sorted; order_[i] is the file of locations_[i]
  std::vector<size_t> order_;
  std::vector<MappedFile> files_;
};

// Fills a ModelProto from bytes, message by message on a stack of its own. Each message is walked twice: once to check its
// framing and count its fields, so that its lists can be charged to the budget and reserved; then to fill it in.
class Parser {
 public:
  Parser(Budget& budget, ExternalFiles& files) : budget_(budget), files_(files) {}

  Result<ModelProto> parse(std::span<const std::byte> bytes);

 private:
  // Messages that fill a part of another's struct.
  struct TrainingInfo {
    ModelProto* model;
  };
  struct TensorType {
    TypeProto* type;
  };
  struct ShapeOfType {
    TypeProto* type;
  };
  struct InnerType {
    TypeProto* type;
  };
  struct MapType {
    TypeProto* type;
  };
  struct ExternalEntry {};  // of the tensor being read, into external_.entry
  struct Segment {};
  using Target = std::variant<ModelProto*, GraphProto*, FunctionProto*, NodeProto*, AttributeProto*, TensorProto*,
                              SparseTensorProto*, ValueInfoProto*, TypeProto*, OperatorSet*, Entry*, Dimension*, TrainingInfo,
                              TensorType, ShapeOfType, InnerType, MapType, ExternalEntry, Segment>;
  struct Frame {
    Target target;
    const FieldTable* table = nullptr;
    WireReader reader;
    uint64_t offset = 0;            // of the message in the file
    const FieldRule* at = nullptr;  // the field being read
    FieldCounts counts{};           // of the whole message
    FieldCounts seen{};             // so far
  };
  struct ExternalData {
    Entry entry;  // the one being read
    std::string_view location;
    uint64_t offset = 0;
    std::optional<uint64_t> length;
    bool has_location = false;
  };

  static const FieldTable& table_of(const Target& target);

  bool run();
  bool open(Target target, const WireField& field);
  bool count(Frame& frame);
  // Charges and reserves the lists of the message just counted.
  bool reserve(Frame& frame);
  bool check_rank(size_t rank);
  template <typename T>
  bool room(std::vector<T>& list, size_t count);

  // Takes one known field of a message.
  bool accept(ModelProto& m, const WireField& f);
  bool accept(GraphProto& g, const WireField& f);
  bool accept(FunctionProto& u, const WireField& f);
  bool accept(NodeProto& d, const WireField& f);
  bool accept(AttributeProto& a, const WireField& f);
  bool accept(TensorProto& t, const WireField& f);
  bool accept(SparseTensorProto& t, const WireField& f);
  bool accept(ValueInfoProto& v, const WireField& f);
  bool accept(TypeProto& t, const WireField& f);
  bool accept(OperatorSet& o, const WireField& f);
  bool accept(Entry& e, const WireField& f);
  bool accept(Dimension& d, const WireField& f);
  bool accept(const TrainingInfo& i, const WireField& f);
  bool accept(const TensorType& t, const WireField& f);
  bool accept(const ShapeOfType& t, const WireField& f);
  bool accept(const InnerType& t, const WireField& f);
  bool accept(const MapType& t, const WireField& f);
  bool accept(const ExternalEntry& e, const WireField& f);
  bool accept(const Segment& s, const WireField& f);

  // Checks a message as a whole at its end.
  bool finish(const Frame& frame);
  bool finish(ModelProto& m, const Frame& frame);
  bool finish(AttributeProto& a, const Frame& frame);
  bool finish(TensorProto& t, const Frame& frame);
  bool finish(SparseTensorProto& t, const Frame& frame);
  bool finish_external_entry(const Frame& frame);
  bool find_external_data(TensorProto& t, uint64_t offset);

  bool append(std::vector<int64_t>& list, const WireField& f);
  bool append(std::vector<float>& list, const WireField& f);
  bool append(Shape& dims, const WireField& f);
  template <typename Enum>
  bool read_enum(Enum& value, const WireField& f);

  // Where the reader stands: "graph.node[3].attribute[0]".
  std::string path() const;
  bool fail(uint64_t offset, const std::string& what, ErrorCode code = ErrorCode::invalid_model);

  Budget& budget_;
  ExternalFiles& files_;
  std::vector<Frame> stack_;
  ExternalData external_;  // of the tensor being read: tensors do not nest
  Error error_;
};

}  // namespace oxplow::onnx
