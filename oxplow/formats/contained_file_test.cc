#include "oxplow/formats/contained_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "oxplow/formats/byte_reader.h"

namespace oxplow {
namespace {

namespace fs = std::filesystem;

class ContainedFile : public testing::Test {
 protected:
  ContainedFile() {
    std::string name = (fs::temp_directory_path() / "oxplow_contained_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "model/data");
    write("outside.bin", "outside");
    write("model/w.bin", "weights");
    write("model/data/w.bin", "deep");
    write("model/empty.bin", "");
  }
  ~ContainedFile() override { fs::remove_all(root_); }

  void write(const fs::path& path, std::string_view text) { std::ofstream(root_ / path) << text; }
  // The content, or the error's code and message.
  std::string read(std::string_view location) {
    auto folder = ContainedFolder::open(root_ / "model");
    EXPECT_TRUE(folder.ok());
    auto file = folder->map(location);
    if (!file.ok()) return std::string(error_code_name(file.error().code)) + " " + file.error().message;
    return std::string(text_of(file->bytes()));
  }
  bool refuses(std::string_view location, std::string_view why) {
    const std::string answer = read(location);
    EXPECT_EQ(answer.substr(0, 14), "INVALID_MODEL ") << answer;
    EXPECT_NE(answer.find(why), answer.npos) << answer;
    EXPECT_EQ(answer.find(root_.string()), answer.npos) << "shows the folder: " << answer;
    return answer.starts_with("INVALID_MODEL ");
  }

  fs::path root_;
};

TEST_F(ContainedFile, MapsFilesInTheFolder) {
  EXPECT_EQ(read("w.bin"), "weights");
  EXPECT_EQ(read("./w.bin"), "weights");
  EXPECT_EQ(read("data/w.bin"), "deep");
  EXPECT_EQ(read("data//./w.bin"), "deep");
  EXPECT_EQ(read("empty.bin"), "");
  EXPECT_TRUE(read("none.bin").starts_with("NOT_FOUND external file 'none.bin' is missing"));
  EXPECT_TRUE(read("w.bin/x").starts_with("NOT_FOUND"));
}

TEST_F(ContainedFile, RefusesWhatLeavesTheFolder) {
  EXPECT_TRUE(refuses("../outside.bin", "leaves the model's folder"));
  EXPECT_TRUE(refuses("data/../../outside.bin", "leaves the model's folder"));
  EXPECT_TRUE(refuses("data/../w.bin", "leaves the model's folder"));
  EXPECT_TRUE(refuses("..", "leaves the model's folder"));
  EXPECT_TRUE(refuses("/etc/passwd", "absolute"));
  EXPECT_TRUE(refuses((root_ / "model/w.bin").string().substr(0, 1) + "x", "absolute"));
  EXPECT_TRUE(refuses("..\\outside.bin", "backslash"));
  EXPECT_TRUE(refuses("", "names no file"));
  EXPECT_TRUE(refuses(".", "names no file"));
  EXPECT_TRUE(refuses(std::string_view("w.bin\0x", 7), "NUL"));
  EXPECT_TRUE(refuses(std::string(5000, 'a'), "too long"));
}

TEST_F(ContainedFile, RefusesWhatIsNotAPlainFile) {
  fs::create_symlink(root_ / "outside.bin", root_ / "model/link.bin");
  fs::create_symlink("w.bin", root_ / "model/inner_link.bin");
  fs::create_directory_symlink(root_, root_ / "model/up");
  fs::create_hard_link(root_ / "outside.bin", root_ / "model/hard.bin");
  ASSERT_EQ(::mkfifo((root_ / "model/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(refuses("link.bin", "symbolic link"));
  EXPECT_TRUE(refuses("inner_link.bin", "symbolic link"));
  EXPECT_TRUE(refuses("up/outside.bin", "symbolic link"));
  EXPECT_TRUE(refuses("hard.bin", "hard link"));
  EXPECT_TRUE(refuses("fifo", "regular file"));
  EXPECT_TRUE(refuses("data", "regular file"));
}

TEST_F(ContainedFile, TheFolderMayBeReachedThroughALink) {
  fs::create_directory_symlink(root_ / "model", root_ / "latest");
  auto folder = ContainedFolder::open(root_ / "latest");
  ASSERT_TRUE(folder.ok());
  EXPECT_TRUE(folder->map("w.bin").ok());
  EXPECT_EQ(ContainedFolder::open(root_ / "none").error().code, ErrorCode::not_found);
  EXPECT_FALSE(ContainedFolder::open(root_ / "outside.bin").ok());
}

}  // namespace
}  // namespace oxplow
