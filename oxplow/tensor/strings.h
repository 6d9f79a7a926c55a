#pragma once

#include <span>
#include <string>
#include <vector>

#include "oxplow/tensor/tensor.h"

namespace oxplow {

// A tensor of strings that owns their characters. As many values as the shape has elements.
Tensor string_tensor(std::vector<std::string> values, const Shape& shape);

// The same strings with characters of their own: each once, however many elements show it. So a tensor of views of somebody else's
// characters need not keep him alive. Other tensors come back as they are. Error: out_of_memory (more than 4 GiB).
Result<Tensor> with_own_characters(const Tensor& tensor);

}  // namespace oxplow
