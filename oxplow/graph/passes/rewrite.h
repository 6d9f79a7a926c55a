#pragma once
// Questions that several passes ask of a graph.

#include "oxplow/graph/pass.h"

namespace oxplow::passes {

// The one number that a constant f32 holds, if it holds one (of any rank).
std::optional<float> scalar_constant(const Graph& graph, ValueId id);

// Whether a node's op computes every element by itself (eltwise.inc).
bool is_elementwise(const Node& node);

// A Transpose's permutation, spelled out.
std::vector<int64_t> permutation_of(const Graph& graph, const Node& transpose);
bool is_identity(const std::vector<int64_t>& permutation);

// Emits a Transpose before `at`, or composes it with the one that made `value`; gives `value` itself back when nothing moves.
Result<ValueId> transposed(Graph& graph, Graph::NodeIterator at, ValueId value, const std::vector<int64_t>& permutation);

// A constant [n] vector that `id` is when it is broadcast against tensors whose last axis is n ([n], [1, n], [1, 1, n]).
bool is_row_constant(const Graph& graph, ValueId id, int64_t n);

// `value` in other extents, emitted before `at`.
Result<ValueId> reshaped(Graph& graph, Graph::NodeIterator at, ValueId value, const Shape& shape);

}  // namespace oxplow::passes
