#include "oxplow/apps/cli/input_files.h"

#include "oxplow/formats/npy.h"

namespace oxplow::cli {
namespace {

Result<Tensor> read_tensor(const std::string& path) {
  OXPLOW_ASSIGN(NpyArray array, read_npy(path));
  auto owner = std::make_shared<NpyArray>(std::move(array));
  return Tensor::borrow({owner->dtype, owner->shape}, owner->bytes.data(), owner);
}

}  // namespace

Result<std::vector<Tensor>> read_inputs(const std::vector<std::string>& flags, const Model& model) {
  std::map<std::string, Tensor> given;
  for (const std::string& text : flags) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return Error{ErrorCode::invalid_argument, "--input " + text + ": want NAME=FILE.npy"};
    const std::string name = text.substr(0, equals);
    auto tensor = read_tensor(text.substr(equals + 1));
    if (!tensor.ok()) return in_context("input '" + name + "'", tensor.error());
    if (!given.emplace(name, tensor.take()).second)
      return Error{ErrorCode::invalid_argument, "--input " + name + " is given twice"};
  }
  std::vector<Tensor> inputs;
  std::string known;
  for (const DeclaredTensor& input : model.inputs()) known += (known.empty() ? "'" : ", '") + input.name + "'";
  for (const auto& [name, tensor] : given) {
    const auto named = [&](const DeclaredTensor& input) { return input.name == name; };
    if (std::none_of(model.inputs().begin(), model.inputs().end(), named))
      return Error{ErrorCode::invalid_argument, "the model has no input '" + name + "'; it has " + known};
  }
  for (const DeclaredTensor& input : model.inputs()) {
    auto it = given.find(input.name);
    if (it == given.end())
      return Error{ErrorCode::invalid_argument,
                   "the model's input '" + input.name + "' is not given: add --input " + input.name + "=FILE.npy"};
    inputs.push_back(it->second);
  }
  return inputs;
}

}  // namespace oxplow::cli
