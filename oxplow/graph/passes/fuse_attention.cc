// softmax(scale q k^T + mask) v, written as two matrix products around a Softmax, becomes one Attention.

#include <algorithm>

#include "oxplow/graph/passes/rewrite.h"

namespace oxplow::passes {
namespace {

struct Match {
  ValueId q = kNoValue;             // [B, H, Sq, D]
  ValueId k_transposed = kNoValue;  // [B, H, D, Sk]
  ValueId v = kNoValue;             // [B, H, Sk, Dv]
  ValueId mask = kNoValue;
  float scale = 1;
};

// Takes multiplications and divisions by numbers off a value.
ValueId without_scale(const Graph& graph, ValueId id, float& scale) {
  while (const Node* node = graph.producer(id)) {
    if (node->is("Mul")) {
      const auto a = scalar_constant(graph, node->inputs[0]), b = scalar_constant(graph, node->inputs[1]);
      if (!a && !b) break;
      scale *= b ? *b : *a;
      id = node->inputs[b ? 0 : 1];
    } else if (node->is("Div")) {
      const auto b = scalar_constant(graph, node->inputs[1]);
      if (!b) break;
      scale /= *b;
      id = node->inputs[0];
    } else {
      break;
    }
  }
  return id;
}

// The same for a scale in front of a transposition: the transposition of what was scaled.
Result<ValueId> without_inner_scale(Graph& graph, Graph::NodeIterator at, ValueId id, float& scale) {
  const Node* transpose = graph.producer(id, "Transpose");
  if (!transpose) return id;
  float inner_scale = 1;
  const ValueId inner = without_scale(graph, transpose->inputs[0], inner_scale);
  if (inner == transpose->inputs[0] || graph.shape(inner) != graph.shape(transpose->inputs[0])) return id;
  scale *= inner_scale;
  return graph.emit1(at, "Transpose", transpose->name, {inner}, transpose->attributes);
}

bool broadcasts_to_scores(const Graph& graph, ValueId mask, const Shape& scores) {
  const auto joined = [&] {
    const Shape& m = graph.shape(mask);
    if (m.rank() > scores.rank()) return false;
    for (int i = 0; i < m.rank(); ++i) {
      const int64_t extent = scores[scores.rank() - m.rank() + i];
      if (m[i] != 1 && m[i] != extent) return false;
    }
    return true;
  };
  return graph.dtype(mask) == DType::f32 && joined();
}

std::optional<Match> match(const Graph& graph, const Node& product, const std::vector<int>& uses) {
  const auto once = [&](const Node* node) { return node && uses[static_cast<size_t>(node->outputs[0])] == 1; };
  if (!product.is("MatMul") || graph.dtype(product.outputs[0]) != DType::f32) return std::nullopt;
  const Node* softmax = graph.producer(product.inputs[0], "Softmax");
  if (!once(softmax)) return std::nullopt;
  const Shape& scores = graph.shape(softmax->inputs[0]);
  const int64_t axis = softmax->attributes.integer("axis", -1);
  if (scores.rank() != 4 || (axis != -1 && axis != 3) || graph.shape(product.inputs[1]).rank() != 4) return std::nullopt;

  Match m;
  m.v = product.inputs[1];
  ValueId id = softmax->inputs[0];
  // A mask is added last; what it is added to is the larger operand.
  if (const Node* add = graph.producer(id, "Add"); once(add)) {
    float ignored = 1;
    for (size_t i : {size_t{0}, size_t{1}}) {
      const Node* inner = graph.producer(without_scale(graph, add->inputs[i], ignored), "MatMul");
      if (inner && graph.shape(add->inputs[i]) == scores && broadcasts_to_scores(graph, add->inputs[1 - i], scores)) {
        m.mask = add->inputs[1 - i];
        id = add->inputs[i];
        break;
      }
    }
    if (m.mask == kNoValue) return std::nullopt;
  }
  id = without_scale(graph, id, m.scale);
  const Node* first = graph.producer(id, "MatMul");
  if (!once(first) || graph.shape(first->inputs[0]).rank() != 4 || graph.shape(first->inputs[1]).rank() != 4) return std::nullopt;
  m.q = without_scale(graph, first->inputs[0], m.scale);
  m.k_transposed = without_scale(graph, first->inputs[1], m.scale);
  // A number of higher rank may have added axes on the way.
  if (graph.shape(m.q).rank() != 4 || graph.shape(m.k_transposed).rank() != 4) return std::nullopt;
  const Shape &q = graph.shape(m.q), &k = graph.shape(m.k_transposed), &v = graph.shape(m.v);
  const bool same_batch = q[0] == k[0] && q[0] == v[0] && q[1] == k[1] && q[1] == v[1];
  return same_batch ? std::optional(m) : std::nullopt;
}

}  // namespace

Result<bool> fuse_attention(Graph& graph, const PassContext&) {
  const auto uses = graph.use_counts();
  bool changed = false;
  for (auto it = graph.nodes.begin(); it != graph.nodes.end(); ++it) {
    if (!it->is("MatMul") || static_cast<size_t>(it->outputs[0]) >= uses.size()) continue;
    auto m = match(graph, *it, uses);
    if (!m) continue;
    OXPLOW_ASSIGN(m->q, without_inner_scale(graph, it, m->q, m->scale));
    OXPLOW_ASSIGN(m->k_transposed, without_inner_scale(graph, it, m->k_transposed, m->scale));
    OXPLOW_ASSIGN(const ValueId q, transposed(graph, it, m->q, {0, 2, 1, 3}));
    OXPLOW_ASSIGN(const ValueId k, transposed(graph, it, m->k_transposed, {0, 3, 1, 2}));
    OXPLOW_ASSIGN(const ValueId v, transposed(graph, it, m->v, {0, 2, 1, 3}));
    std::vector<ValueId> inputs{q, k, v};
    if (m->mask != kNoValue) inputs.push_back(m->mask);
    Attributes attributes;
    attributes.set("scale", m->scale);
    OXPLOW_ASSIGN(ValueId y, graph.emit1(it, "Attention", it->name, std::move(inputs), std::move(attributes)));
    OXPLOW_ASSIGN(y, transposed(graph, it, y, {0, 2, 1, 3}));
    graph.replace_uses(it->outputs[0], y);
    changed = true;
  }
  return changed;
}

}  // namespace oxplow::passes
