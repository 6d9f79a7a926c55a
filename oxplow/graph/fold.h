#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "oxplow/graph/evaluate.h"

namespace oxplow {

// Results of folded ops on large constants (batch-norm folded into weights, merged weights), so that plans for other shapes of the
// same model share them and what was packed from them. Results live as long as a plan holds them.
class FoldMemo {
 public:
  std::vector<Tensor> find(const std::string& key) const;
  void insert(const std::string& key, const std::vector<Tensor>& inputs, const std::vector<Tensor>& results);

 private:
  struct Entry {
    std::vector<std::weak_ptr<const void>> inputs;  // an address alone could be another tensor's by now
    std::vector<TensorType> types;
    std::vector<const void*> data;
    std::vector<std::weak_ptr<const void>> owners;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

// Infers the types of all values in order, replacing by constants what depends on shapes and constants alone. The graph's
// inputs must be typed. Errors name the node; needs_values where types depend on values, and of strings, which no plan touches.
Status infer_and_fold(Graph& graph, FoldMemo& memo, const Machine& machine);

// The same where inputs may be untyped too: what needs values, and all that depends on it, is left untyped.
Status infer_what_is_known(Graph& graph, FoldMemo& memo, const Machine& machine);

}  // namespace oxplow
