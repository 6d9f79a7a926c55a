#include "oxplow/base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace oxplow {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "oxplow_mapped_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static void expect_refused(const std::filesystem::path& path, ErrorCode code, const std::string& words) {
    const auto file = MappedFile::open(path);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().code, code) << file.error().message;
    EXPECT_NE(file.error().message.find(path.string()), std::string::npos) << file.error().message;
    EXPECT_NE(file.error().message.find(words), std::string::npos) << file.error().message;
  }
  std::filesystem::path folder_;
};

TEST_F(MappedFileTest, ShowsTheBytes) {
  std::string text(10000, 'x');
  text[9999] = 'y';
  auto file = MappedFile::open(write("a", text));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->bytes().size(), text.size());
  EXPECT_EQ(std::memcmp(file->bytes().data(), text.data(), text.size()), 0);
}

TEST_F(MappedFileTest, AnEmptyFileHasNoBytes) {
  const auto file = MappedFile::open(write("empty", ""));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->bytes().empty());
}

TEST_F(MappedFileTest, FollowsLinksAndOutlivesTheName) {
  const auto path = write("a", "hello");
  std::filesystem::create_symlink(path, folder_ / "link");
  auto file = MappedFile::open(folder_ / "link");
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(path);
  EXPECT_EQ(std::memcmp(file->bytes().data(), "hello", 5), 0);
}

TEST_F(MappedFileTest, Moves) {
  MappedFile first = MappedFile::open(write("a", "hello")).take();
  MappedFile second = std::move(first);
  EXPECT_TRUE(first.bytes().empty());
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.bytes().size(), 5u);
}

TEST_F(MappedFileTest, RefusesWhatIsNotThere) {
  expect_refused(folder_ / "none", ErrorCode::not_found, "No such file");
  expect_refused(write("file", "x") / "below", ErrorCode::not_found, "Not a directory");
  std::filesystem::create_symlink(folder_ / "none", folder_ / "dangling");
  expect_refused(folder_ / "dangling", ErrorCode::not_found, "No such file");
}

TEST_F(MappedFileTest, RefusesWhatIsNotARegularFile) {
  expect_refused(folder_, ErrorCode::io, "directory");
  expect_refused("/dev/zero", ErrorCode::io, "device");
  expect_refused("/dev/null", ErrorCode::io, "device");
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  expect_refused(folder_ / "fifo", ErrorCode::io, "FIFO");  // and does not wait for a writer
}

TEST_F(MappedFileTest, RefusesASocket) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder_ / "socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto file = MappedFile::open(folder_ / "socket");
  EXPECT_FALSE(file.ok());
  close(fd);
}

TEST_F(MappedFileTest, RefusesWhatItMayNotRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const auto path = write("secret", "x");
  chmod(path.c_str(), 0);
  expect_refused(path, ErrorCode::io, "Permission denied");
}

}  // namespace
}  // namespace oxplow
