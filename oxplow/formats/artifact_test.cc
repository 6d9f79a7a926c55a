#include "oxplow/formats/artifact.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct ScratchFolder {
  ScratchFolder() : path(fs::temp_directory_path() / ("oxplow_artifact_" + std::to_string(getpid()))) {
    fs::create_directories(path);
  }
  ~ScratchFolder() { fs::remove_all(path); }
  fs::path path;
};

std::string written(const ArtifactContents& contents) {
  const ScratchFolder folder;
  const Status status = write_artifact(folder.path / "a.oxp", contents);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  EXPECT_FALSE(fs::exists(folder.path / "a.oxp.partial"));
  EXPECT_TRUE(is_artifact(folder.path / "a.oxp"));
  std::ifstream file(folder.path / "a.oxp", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ArtifactContents small() {
  return {.cpu = "a processor",
          .isa = "avx2",
          .precision = "fp32",
          .model = bytes_of("a model"),
          .weights = bytes_of("its weights"),
          .packs = {{"gemm/t", 7, bytes_of("packed")}, {"conv", 9, bytes_of("")}},
          .rates = {{"gemm", 100.5}}};
}

// Parses from memory of exactly this size. The message, or "" when the file is sound.
std::string verdict(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto contents = parse_artifact(std::as_bytes(std::span(exact)));
  if (contents.ok()) return "";
  EXPECT_TRUE(contents.error().message.starts_with("oxp: ")) << contents.error().message;
  return contents.error().message;
}

TEST(Artifact, GivesBackWhatWasWritten) {
  const std::string file = written(small());
  const auto read = parse_artifact(bytes_of(file));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->cpu, "a processor");
  EXPECT_EQ(read->isa, "avx2");
  EXPECT_EQ(read->precision, "fp32");
  EXPECT_EQ(text_of(read->model), "a model");
  EXPECT_EQ(text_of(read->weights), "its weights");
  ASSERT_EQ(read->packs.size(), 2u);
  EXPECT_EQ(read->packs[0].key, "gemm/t");
  EXPECT_EQ(read->packs[0].source, 7u);
  EXPECT_EQ(text_of(read->packs[0].bytes), "packed");
  EXPECT_EQ(read->packs[1].bytes.size(), 0u);
  ASSERT_EQ(read->rates.size(), 1u);
  EXPECT_EQ(read->rates[0].kernel, "gemm");
  EXPECT_EQ(read->rates[0].gflops, 100.5);
  for (const auto section : {read->model, read->weights, read->packs[0].bytes}) {
    EXPECT_EQ((section.data() - bytes_of(file).data()) % 64, 0);
  }
}

TEST(Artifact, LargeSectionsBeginAtHugePages) {
  const std::string large(3 << 20, 'w');
  ArtifactContents contents = small();
  contents.weights = bytes_of(large);
  const std::string file = written(contents);
  const auto read = parse_artifact(bytes_of(file));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(text_of(read->weights), large);
  EXPECT_EQ((read->weights.data() - bytes_of(file).data()) % (2 << 20), 0);
}

TEST(Artifact, EveryCutIsNoticed) {
  const std::string file = written(small());
  for (size_t size = 0; size < file.size(); ++size) EXPECT_NE(verdict(file.substr(0, size)), "") << size;
  EXPECT_NE(verdict(file + "x"), "");
}

// A changed byte is noticed unless it lies in weights, packs or padding, and then nothing else happens.
TEST(Artifact, EveryChangedByteIsSurvived) {
  const std::string file = written(small());
  const auto sound = parse_artifact(bytes_of(file)).take();
  const auto inside = [&](std::span<const std::byte> section, size_t at) {
    const auto first = static_cast<size_t>(section.data() - bytes_of(file).data());
    return at >= first && at < first + section.size();
  };
  for (size_t at = 0; at < file.size(); ++at) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    const std::string message = verdict(changed);
    if (at < 12 || (at >= 16 && at < 56) || inside(sound.model, at)) {
      EXPECT_NE(message, "") << at;
    }
  }
}

TEST(Artifact, OtherVersionsAreNamed) {
  std::string file = written(small());
  file[8] = 2;
  EXPECT_EQ(verdict(file), "oxp: version 2; this oxplow reads version 1: compile the model again");
}

TEST(Artifact, WhatCannotBeWrittenIsSaid) {
  const Status status = write_artifact("/nowhere/at/all.oxp", small());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::io);
  EXPECT_EQ(status.error().message, "cannot write /nowhere/at/all.oxp: No such file or directory");
}

}  // namespace
}  // namespace oxplow
