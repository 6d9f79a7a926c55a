// Files that are damaged or mean harm: each must give a typed error and nothing else.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <random>
#include <vector>

#include "oxplow/formats/byte_reader.h"
#include "oxplow/formats/onnx_walk.h"
#include "oxplow/formats/protobuf_writer.h"

namespace oxplow {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

constexpr const char* kSeeds[] = {"convolution", "control_flow", "functions", "typed_data", "types_and_attributes"};

std::string seed(const std::string& name) {
  std::ifstream file(OXPLOW_TESTS_DIR "/fuzz/onnx/" + name + ".onnx", std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Parses from memory of exactly this size, so that AddressSanitizer sees a read past the end, and reads all the model points to.
// "CODE message", or "" when the model is sound.
std::string verdict(std::string_view bytes, const fs::path& folder = {}) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto model = parse_onnx(std::as_bytes(std::span(exact)), folder);
  if (!model.ok()) {
    EXPECT_TRUE(model.error().message.starts_with("onnx: at byte ")) << model.error().message;
    EXPECT_LT(model.error().message.size(), 4000u);
    return std::string(error_code_name(model.error().code)) + " " + model.error().message;
  }
  onnx::ModelWalk walk;
  walk.add(model->model);
  return "";
}
std::string verdict(const ProtobufWriter& model) { return verdict(model.str()); }

ProtobufWriter with_graph(const ProtobufWriter& graph) {
  ProtobufWriter model;
  return model.varint(1, 8).message(7, graph);
}
ProtobufWriter with_node(const ProtobufWriter& node) {
  ProtobufWriter graph;
  return with_graph(graph.message(1, node));
}
ProtobufWriter with_attribute(const ProtobufWriter& attribute) {
  ProtobufWriter node;
  return with_node(node.text(4, "Op").message(5, attribute));
}
ProtobufWriter with_tensor(const ProtobufWriter& tensor) {
  ProtobufWriter graph;
  return with_graph(graph.message(5, tensor));
}
ProtobufWriter tensor_of(std::initializer_list<int64_t> dims, int64_t type) {
  ProtobufWriter tensor;
  return tensor.packed_varints(1, dims).varint(2, type);
}
ProtobufWriter raw_tensor(std::initializer_list<int64_t> dims, int64_t type, std::string_view raw) {
  return tensor_of(dims, type).text(9, raw);
}
ProtobufWriter entry(std::string_view key, std::string_view value) {
  ProtobufWriter e;
  return e.text(1, key).text(2, value);
}

bool is_invalid(const std::string& verdict, std::string_view part) {
  return verdict.starts_with("INVALID_MODEL ") && verdict.find(part) != verdict.npos;
}
#define EXPECT_INVALID(model, part)                                \
  do {                                                             \
    const std::string answer = verdict(model);                     \
    EXPECT_TRUE(is_invalid(answer, part)) << "'" << answer << "'"; \
  } while (false)

TEST(OnnxHostile, ATruncatedFileIsRefusedOrSoundAtEveryByte) {
  for (const char* name : kSeeds) {
    const std::string bytes = seed(name);
    ASSERT_EQ(verdict(bytes), "") << name;
    for (size_t size = 0; size < bytes.size(); ++size) (void)verdict(std::string_view(bytes).substr(0, size));
    EXPECT_INVALID(std::string_view(bytes).substr(0, bytes.size() - 1), "");
  }
}

TEST(OnnxHostile, RandomDamageIsRefusedOrSound) {
  for (const char* name : kSeeds) {
    const std::string bytes = seed(name);
    std::mt19937 random(7);
    int refused = 0;
    for (int i = 0; i < 8000; ++i) {
      std::string damaged = bytes;
      for (auto n = 1 + random() % 6; n > 0; --n) {
        const size_t at = random() % damaged.size();
        switch (random() % 4) {
          case 0: damaged[at] = static_cast<char>(random()); break;
          case 1: damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8)); break;
          case 2: damaged.erase(at, 1 + random() % 8); break;
          case 3: damaged.insert(at, 1 + random() % 3, static_cast<char>(random() % 2 ? 0xff : random())); break;
        }
        if (damaged.empty()) damaged = "x";
      }
      refused += !verdict(damaged).empty();
    }
    EXPECT_GT(refused, 1000) << name;
  }
}

TEST(OnnxHostile, ErrorsNameTheFieldAndTheByte) {
  ProtobufWriter bad = raw_tensor({2, -5}, 1, "");
  ProtobufWriter attribute, node, graph, model;
  attribute.text(1, "value").message(5, bad).varint(20, 4);
  ProtobufWriter good;
  good.text(4, "Relu");
  node.text(4, "Constant").message(5, attribute);
  graph.message(1, good).message(1, node);
  model.varint(1, 8).message(7, graph);
  const auto read = parse_onnx(model.bytes());
  const std::string& bytes = model.str();
  const size_t at = bytes.find(std::string("\x0a\x0b\x02", 3));
  ASSERT_NE(at, bytes.npos);
  EXPECT_EQ(read.error().message,
            "onnx: at byte " + std::to_string(at) + ": graph.node[1].attribute[0].t.dims: negative extent -5");
}

TEST(OnnxHostile, WhatIsNoModelIsRefused) {
  EXPECT_INVALID("", "not an ONNX model");
  EXPECT_INVALID("not a model at all", "");
  EXPECT_INVALID(std::string(1000, '\0'), "field number");
  EXPECT_INVALID("version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull");
  EXPECT_INVALID("PK\x03\x04rest", "zip archive");
  ProtobufWriter no_version, twice, empty;
  EXPECT_INVALID(no_version.message(7, empty), "ir_version");
  EXPECT_INVALID(twice.varint(1, 8).message(7, empty).message(7, empty), "graph: is given twice");
  ProtobufWriter future;
  EXPECT_TRUE(verdict(future.varint(1, 99).message(7, empty)).starts_with("UNSUPPORTED "));
}

// M49
TEST(OnnxHostile, BrokenFramingIsRefused) {
  ProtobufWriter model;
  model.varint(1, 8);
  std::string groups = model.str();
  for (int i = 0; i < 10000; ++i) groups += '\x3b';
  EXPECT_INVALID(groups, "group");
  EXPECT_INVALID(model.str() + "\x3a\xff\xff\xff\xff\x07", "runs past the end");
  EXPECT_INVALID(model.str() + "\x08" + std::string(20, '\xff'), "varint");
  ProtobufWriter wrong, wrong_name;
  EXPECT_INVALID(wrong.varint(1, 8).varint(7, 1), "graph: is varint, must be length-delimited");
  EXPECT_INVALID(with_node(wrong_name.varint(3, 1)), "graph.node[0].name: is varint, must be length-delimited");
  ProtobufWriter packed, reals;
  EXPECT_INVALID(with_attribute(packed.text(8, "\x01\x80")), "malformed packed numbers");
  EXPECT_INVALID(with_attribute(reals.text(7, "abcde")), "malformed packed numbers");
  ProtobufWriter long_varint;
  EXPECT_INVALID(with_attribute(long_varint.text(8, std::string(11, '\x81') + "\x01").varint(20, 7)), "too large varint");
}

TEST(OnnxHostile, UnknownFieldsAreSkippedButNotWithoutEnd) {
  ProtobufWriter model = with_graph(ProtobufWriter());
  model.varint(1000, 1).text(31, "x").real(77, 1);
  EXPECT_EQ(verdict(model), "");
  std::string many = model.str();
  for (int i = 0; i < 10'000'000; ++i) many += "\x78\x01";
  EXPECT_INVALID(many, "too many unknown fields");
}

// M44, M49
TEST(OnnxHostile, NestingIsBounded) {
  const auto nested = [](int depth) {
    ProtobufWriter graph;
    for (int i = 0; i < depth; ++i) {
      ProtobufWriter attribute, node, outer;
      attribute.message(6, graph).varint(20, 5);
      node.message(5, attribute);
      graph = outer.message(1, node);
    }
    return with_graph(graph);
  };
  EXPECT_EQ(verdict(nested(30)), "");
  EXPECT_INVALID(nested(40), "nested too deep");
  EXPECT_INVALID(nested(10'000), "nested too deep");
  ProtobufWriter type;
  for (int i = 0; i < 3000; ++i) {
    ProtobufWriter inner, outer;
    inner.message(1, type);
    type = outer.message(4, inner);
  }
  ProtobufWriter value, graph;
  value.message(2, type);
  EXPECT_INVALID(with_graph(graph.message(11, value)), "nested too deep");
}

TEST(OnnxHostile, AFileOfManySmallPartsCannotFillTheMemory) {
  ProtobufWriter graph;
  std::string nodes;
  for (int i = 0; i < 5'000'000; ++i) nodes += std::string_view("\x0a\x00", 2);
  graph.raw(nodes);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_INVALID(with_graph(graph), "more memory");
  ProtobufWriter training;
  std::string infos;
  for (int i = 0; i < 3'000'000; ++i) infos += std::string_view("\xa2\x01\x00", 3);
  EXPECT_INVALID(with_graph(ProtobufWriter()).str() + infos, "more memory");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
}

// M41, M42
TEST(OnnxHostile, ATensorsDataMustFitItsExtents) {
  EXPECT_EQ(verdict(with_tensor(raw_tensor({2}, 1, "12345678"))), "");
  EXPECT_EQ(verdict(with_tensor(raw_tensor({0, 7}, 1, ""))), "");
  EXPECT_EQ(verdict(with_tensor(tensor_of({0}, 1))), "");
  EXPECT_EQ(verdict(with_tensor(raw_tensor({}, 1, "1234"))), "") << "a scalar";
  EXPECT_EQ(verdict(with_tensor(raw_tensor({3}, 22, "12"))), "") << "three 4-bit elements";
  EXPECT_INVALID(with_tensor(raw_tensor({2}, 1, "1234567")),
                 "graph.initializer[0]: raw_data has 7 bytes, FLOAT of extents [2] needs 8");
  EXPECT_INVALID(with_tensor(raw_tensor({2}, 1, "123456789")), "needs 8");
  EXPECT_INVALID(with_tensor(tensor_of({2}, 1)), "needs 8");
  EXPECT_INVALID(with_tensor(raw_tensor({1}, 1, "1234").real(4, 1)), "both float_data and raw_data");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 1).real(4, 1).varint(5, 1)), "both float_data and int32_data");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 7).real(4, 1)), "float_data in a tensor of INT64 elements");
  EXPECT_INVALID(with_tensor(tensor_of({3}, 7).packed_varints(7, {1, 2})), "int64_data has 2 entries, extents [3] need 3");
  EXPECT_INVALID(with_tensor(tensor_of({3}, 14).packed<float>(4, {1, 2, 3})), "need 6");
  EXPECT_INVALID(with_tensor(raw_tensor({1}, 8, "x")), "raw_data in a tensor of strings");
  EXPECT_INVALID(with_tensor(tensor_of({2}, 8).text(6, "x")), "string_data has 1 entries");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 2).packed_varints(5, {256})), "out of its type's range");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 3).packed_varints(5, {-129})), "out of its type's range");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 12).packed_varints(11, {int64_t{1} << 32})), "out of its type's range");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 6).packed_varints(5, {int64_t{1} << 40})), "out of its type's range");
  EXPECT_INVALID(with_tensor(tensor_of({1}, 7).text(7, std::string(10, '\xff') + "\x01")), "malformed");
}

// M42
TEST(OnnxHostile, ExtentsAreCheckedBeforeTheyAreMultiplied) {
  constexpr int64_t k32 = int64_t{1} << 32;
  EXPECT_INVALID(with_tensor(raw_tensor({k32, k32}, 1, "")), "extents [4294967296, 4294967296] overflow");
  EXPECT_INVALID(with_tensor(raw_tensor({k32, k32, 0}, 1, "")), "overflow");
  EXPECT_INVALID(with_tensor(raw_tensor({INT64_MAX}, 11, "")), "overflow");
  EXPECT_INVALID(with_tensor(raw_tensor({INT64_MAX}, 2, "")), "overflow");
  EXPECT_INVALID(with_tensor(tensor_of({INT64_MAX}, 22).packed_varints(5, {1})), "overflow");
  EXPECT_INVALID(with_tensor(raw_tensor({-1}, 1, "")), "negative extent -1");
  EXPECT_INVALID(with_tensor(raw_tensor({INT64_MIN}, 1, "")), "negative extent");
  ProtobufWriter many, twelve;
  EXPECT_INVALID(with_tensor(many.text(1, std::string(100'000, '\x01')).varint(2, 1).text(9, "1234")), "100000 axes");
  EXPECT_TRUE(
      verdict(with_tensor(twelve.text(1, std::string(12, '\x01')).varint(2, 1).text(9, "1234"))).starts_with("UNSUPPORTED "));
  ProtobufWriter dimension, shape, tensor_type, type, value, graph;
  dimension.varint(1, -2);
  shape.message(1, dimension);
  tensor_type.message(2, shape);
  type.message(1, tensor_type);
  value.message(2, type);
  EXPECT_INVALID(with_graph(graph.message(12, value)),
                 "graph.output[0].type.tensor_type.shape.dim[0].dim_value: negative extent -2");
}

TEST(OnnxHostile, ATypeMustBeKnown) {
  EXPECT_INVALID(with_tensor(raw_tensor({1}, 99, "1234")), "unknown data type 99");
  EXPECT_INVALID(with_tensor(raw_tensor({1}, 0, "1234")), "unknown data type 0");
  EXPECT_INVALID(with_tensor(raw_tensor({1}, -1, "1234")), "data_type: number -1 is out of range");
  EXPECT_INVALID(with_tensor(raw_tensor({1}, int64_t{1} << 40, "1234")), "out of range");
  EXPECT_EQ(verdict(with_tensor(raw_tensor({4}, 17, "1234"))), "") << "known, though not computed with";
  EXPECT_TRUE(verdict(with_tensor(raw_tensor({1}, 1, "1234").message(3, ProtobufWriter()))).starts_with("UNSUPPORTED "));
}

TEST(OnnxHostile, AnAttributeHoldsOneValueOfItsType) {
  ProtobufWriter both, wrong, unknown, none, untyped, missing, reference, list;
  EXPECT_INVALID(with_attribute(both.varint(3, 1).real(2, 1).varint(20, 2)), "holds both f and i");
  EXPECT_INVALID(with_attribute(wrong.varint(3, 1).varint(20, 1)), "is declared FLOAT but holds i");
  EXPECT_INVALID(with_attribute(unknown.varint(3, 1).varint(20, 15)), "unknown attribute type 15");
  EXPECT_INVALID(with_attribute(none.text(1, "a")), "neither a type nor a value");
  EXPECT_EQ(verdict(with_attribute(untyped.varint(3, 1))), "") << "as before IR version 2";
  EXPECT_INVALID(with_attribute(missing.varint(20, 5)), "is declared GRAPH but holds no value");
  EXPECT_INVALID(with_attribute(reference.varint(3, 1).varint(20, 2).text(21, "b")), "holds both ref_attr_name and i");
  EXPECT_EQ(verdict(with_attribute(list.varint(20, 7))), "") << "an empty list";
}

TEST(OnnxHostile, ATypeIsOfOneKind) {
  const auto with_type = [](const ProtobufWriter& type) {
    ProtobufWriter value, graph;
    return with_graph(graph.message(11, value.message(2, type)));
  };
  ProtobufWriter two, no_element, no_value, none, key;
  EXPECT_INVALID(with_type(two.message(1, ProtobufWriter()).message(4, ProtobufWriter())), "");
  EXPECT_INVALID(with_type(no_element.message(4, ProtobufWriter())), "has no inner type");
  EXPECT_INVALID(with_type(no_value.message(5, key.varint(1, 7))), "has no inner type");
  EXPECT_EQ(verdict(with_type(none)), "");
}

TEST(OnnxHostile, SparseIndicesStayInside) {
  const auto with_sparse = [](const ProtobufWriter& values, const ProtobufWriter& indices, std::initializer_list<int64_t> dims) {
    ProtobufWriter sparse, graph;
    sparse.message(1, values).message(2, indices).packed_varints(3, dims);
    return with_graph(graph.message(15, sparse));
  };
  const ProtobufWriter two = raw_tensor({2}, 1, "12345678");
  EXPECT_EQ(verdict(with_sparse(two, tensor_of({2}, 7).packed_varints(7, {0, 5}), {2, 3})), "");
  EXPECT_EQ(verdict(with_sparse(two, raw_tensor({2}, 7, std::string("\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 16)), {2, 3})), "");
  EXPECT_EQ(verdict(with_sparse(two, tensor_of({2, 2}, 7).packed_varints(7, {0, 2, 1, 0}), {2, 3})), "");
  EXPECT_INVALID(with_sparse(two, tensor_of({2}, 7).packed_varints(7, {0, 6}), {2, 3}), "an index lies outside");
  EXPECT_INVALID(with_sparse(two, tensor_of({2}, 7).packed_varints(7, {0, -1}), {2, 3}), "an index lies outside");
  EXPECT_INVALID(with_sparse(two, tensor_of({2, 2}, 7).packed_varints(7, {0, 3, 1, 0}), {2, 3}), "an index lies outside");
  EXPECT_INVALID(with_sparse(two, tensor_of({3}, 7).packed_varints(7, {0, 1, 2}), {2, 3}), "indices must be");
  EXPECT_INVALID(with_sparse(two, tensor_of({2}, 6).packed_varints(5, {0, 1}), {2, 3}), "indices must be");
  EXPECT_INVALID(with_sparse(two, tensor_of({2, 0}, 7), {}), "indices must be");
  EXPECT_INVALID(with_sparse(raw_tensor({}, 1, "1234"), tensor_of({}, 7).varint(7, 0), {2}), "values must have one axis");
  EXPECT_INVALID(with_sparse(two, tensor_of({2}, 7).packed_varints(7, {0, 1}), {int64_t{1} << 40, int64_t{1} << 40}), "overflow");
}

class OnnxExternal : public testing::Test {
 protected:
  OnnxExternal() {
    std::string name = (fs::temp_directory_path() / "oxplow_onnx_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directory(root_ / "model");
    std::ofstream(root_ / "outside.bin") << "outside!";
    std::ofstream(root_ / "model/w.bin") << "0123456789abcdef";
  }
  ~OnnxExternal() override { fs::remove_all(root_); }

  static ProtobufWriter external(std::string_view location, std::initializer_list<ProtobufWriter> more = {}) {
    ProtobufWriter tensor = tensor_of({2}, 1);
    tensor.message(13, entry("location", location));
    for (const ProtobufWriter& e : more) tensor.message(13, e);
    return tensor.varint(14, 1);
  }
  // Writes the model into its folder and reads it from there.
  std::string verdict_of(const ProtobufWriter& model) {
    std::ofstream(root_ / "model/m.onnx", std::ios::binary) << model.str();
    const auto read = read_onnx(root_ / "model/m.onnx");
    if (read.ok()) {
      onnx::ModelWalk walk;
      walk.add(read->model);
      return "";
    }
    EXPECT_EQ(read.error().message.find(root_.string()), std::string::npos) << "shows the folder";
    return std::string(error_code_name(read.error().code)) + " " + read.error().message;
  }
  std::string verdict_of_tensor(const ProtobufWriter& tensor) { return verdict_of(with_tensor(tensor)); }

  fs::path root_;
};

TEST_F(OnnxExternal, IsMappedFromBesideTheModel) {
  std::ofstream(root_ / "model/m.onnx", std::ios::binary)
      << with_tensor(external("./w.bin", {entry("offset", "4"), entry("length", "8"), entry("checksum", "x")})).str();
  auto read = read_onnx(root_ / "model/m.onnx");
  ASSERT_TRUE(read.ok()) << read.error().message;
  const OnnxModel model = read.take();
  EXPECT_EQ(model.external.size(), 1u);
  const auto data = onnx::tensor_bytes(model.model.graph.initializers.at(0));
  EXPECT_EQ(text_of(data->bytes), "456789ab");
  EXPECT_TRUE(data->owned.empty());
}

TEST_F(OnnxExternal, AFileIsMappedOnce) {
  ProtobufWriter graph;
  for (const char* location : {"w.bin", "./w.bin", "w.bin", ".//w.bin"}) graph.message(5, external(location));
  std::ofstream(root_ / "model/m.onnx", std::ios::binary) << with_graph(graph).str();
  const auto read = read_onnx(root_ / "model/m.onnx");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->external.size(), 1u);
}

TEST_F(OnnxExternal, AModelInMemoryHasNone) { EXPECT_INVALID(with_tensor(external("w.bin")), "no folder"); }

// M37, M38
TEST_F(OnnxExternal, StaysInTheFolder) {
  fs::create_symlink(root_ / "outside.bin", root_ / "model/link.bin");
  fs::create_directory_symlink(root_, root_ / "model/up");
  fs::create_hard_link(root_ / "outside.bin", root_ / "model/hard.bin");
  fs::create_directory(root_ / "model/folder");
  ASSERT_EQ(::mkfifo((root_ / "model/fifo").c_str(), 0600), 0);
  const std::string names[] = {
      "../outside.bin", "a/../../outside.bin", "/etc/passwd", "/dev/zero", "..\\outside.bin", "",   "w.bin\0x"s,
      "link.bin",       "up/outside.bin",      "hard.bin",    "fifo",      "folder",          "..", std::string(5000, 'x')};
  for (const std::string& name : names) {
    const std::string answer = verdict_of_tensor(external(name));
    EXPECT_TRUE(is_invalid(answer, "graph.initializer[0]: external file")) << name << ": " << answer;
  }
  EXPECT_TRUE(verdict_of_tensor(external("none.bin")).starts_with("NOT_FOUND "));
}

// M39
TEST_F(OnnxExternal, StaysInTheFolderWhereverATensorStands) {
  const ProtobufWriter bad = external("../outside.bin");
  ProtobufWriter sparse, sparse_graph;
  sparse.message(1, bad).message(2, bad);
  EXPECT_TRUE(
      is_invalid(verdict_of(with_graph(sparse_graph.message(15, sparse))), "graph.sparse_initializer[0].values: external"));
  ProtobufWriter sparse_value;
  sparse_value.text(1, "sparse_value").message(22, sparse).varint(20, 11);
  EXPECT_TRUE(is_invalid(verdict_of(with_attribute(sparse_value)), "graph.node[0].attribute[0].sparse_tensor.values: external"));
  ProtobufWriter subgraph, body;
  subgraph.message(5, bad);
  body.text(1, "body").message(6, subgraph).varint(20, 5);
  EXPECT_TRUE(is_invalid(verdict_of(with_attribute(body)), "graph.node[0].attribute[0].g.initializer[0]: external"));
  ProtobufWriter attribute, node, function;
  attribute.message(5, bad).varint(20, 4);
  node.message(5, attribute);
  function.text(1, "f").message(7, node);
  ProtobufWriter with_function = with_graph(ProtobufWriter());
  EXPECT_TRUE(is_invalid(verdict_of(with_function.message(25, function)), "functions[0].node[0].attribute[0].t: external"));
  ProtobufWriter training, with_training = with_graph(ProtobufWriter());
  training.message(2, subgraph);
  EXPECT_TRUE(is_invalid(verdict_of(with_training.message(20, training)), "training_info[0].algorithm.initializer[0]: external"));
}

// M40
TEST_F(OnnxExternal, OffsetAndLengthStayInTheFile) {
  const auto with = [&](std::string_view key, std::string_view value) {
    return verdict_of_tensor(external("w.bin", {entry(key, value)}));
  };
  EXPECT_EQ(with("offset", "8"), "");
  EXPECT_TRUE(is_invalid(with("offset", "9"), "run past the end"));
  EXPECT_TRUE(is_invalid(with("offset", "17"), "begin beyond the end"));
  EXPECT_TRUE(is_invalid(with("offset", "1152921504606846976"), "begin beyond the end"));
  EXPECT_TRUE(is_invalid(with("offset", "18446744073709551615"), "is not a count of bytes"));
  for (const char* value : {"-1", "+1", "", " 1", "1 ", "0x10", "one", "1e3", "99999999999999999999999"}) {
    EXPECT_TRUE(is_invalid(with("offset", value), "is not a count of bytes")) << value;
    EXPECT_TRUE(is_invalid(with("length", value), "is not a count of bytes")) << value;
  }
  EXPECT_TRUE(is_invalid(with("length", "7"), "external data has length 7, FLOAT of extents [2] needs 8"));
  EXPECT_TRUE(is_invalid(with("length", "1152921504606846976"), "needs 8"));
  EXPECT_TRUE(is_invalid(with("location", "w.bin"), "location is given twice"));
}

TEST_F(OnnxExternal, IsTheOnlyPlaceOfTheData) {
  EXPECT_TRUE(is_invalid(verdict_of_tensor(external("w.bin").text(9, "12345678")), "both external_data and raw_data"));
  EXPECT_TRUE(is_invalid(verdict_of_tensor(tensor_of({2}, 1).varint(14, 1)), "without a location"));
  EXPECT_TRUE(is_invalid(verdict_of_tensor(tensor_of({2}, 1).varint(14, 2)), "neither DEFAULT nor EXTERNAL"));
  ProtobufWriter strings = tensor_of({1}, 8);
  EXPECT_TRUE(is_invalid(verdict_of_tensor(strings.message(13, entry("location", "w.bin")).varint(14, 1)), "tensor of strings"));
  ProtobufWriter huge = tensor_of({int64_t{1} << 50}, 1);
  EXPECT_TRUE(is_invalid(verdict_of_tensor(huge.message(13, entry("location", "w.bin")).varint(14, 1)), "run past the end"));
  EXPECT_TRUE(
      is_invalid(verdict_of_tensor(external("w.bin", {entry("offset", "4"), entry("offset", "12")})), "run past the end"));
}

TEST_F(OnnxExternal, ReadingNamesWhatCannotBeOpened) {
  EXPECT_EQ(read_onnx(root_ / "none.onnx").error().code, ErrorCode::not_found);
  EXPECT_EQ(read_onnx(root_ / "model").error().code, ErrorCode::io);
}

}  // namespace
}  // namespace oxplow
