// What support vector machines need beside products.
//   SquaredDistances: y[n][s] = sum over f of (x[n][f] - v[s][f])^2, of x [N, F] and v [S, F].
//   PairwiseVote: a decision for each pair of classes i < j, in this order, [N, C (C - 1) / 2], votes for i if it is over 0, else for j. Outputs:
//     the class with the most votes (the first of equals); scores. Those are the decisions ({-d, d} if there is one), or, with
//     prob_a and prob_b, the probabilities of the classes: each decision gives that of i against j, 1 - 1 / (1 + exp(-(a d + b))), and
//     the pairs are coupled by the second method of Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling", 2004.

#include <algorithm>
#include <cmath>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_distances(const InferContext& c) {
  const Shape &x = c.shape(0), &v = c.shape(1);
  if (x.rank() != 2 || v.rank() != 2 || x[1] != v[1])
    return Error{ErrorCode::invalid_model,
                 "no distances between rows of " + to_string(c.type(0)) + " and " + to_string(c.type(1))};
  if (c.type(0).dtype != DType::f32 || c.type(1).dtype != DType::f32)
    return Error{ErrorCode::unsupported, "distances between rows of " + to_string(c.type(0))};
  return TensorTypes{{DType::f32, Shape{x[0], v[0]}}};
}

// Four sums, so that additions need not wait for each other.
float squared_distance(const float* x, const float* v, int64_t n) {
  float sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int k = 0; k < 4; ++k) sums[k] += (x[i + k] - v[i + k]) * (x[i + k] - v[i + k]);
  }
  for (; i < n; ++i) sums[0] += (x[i] - v[i]) * (x[i] - v[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

Result<std::unique_ptr<Step>> prepare_distances(const PrepareContext& c) {
  const int64_t rows = c.in(0).type.shape[0], features = c.in(0).type.shape[1], vectors = c.in(1).type.shape[0];
  const int tasks = task_count(rows, static_cast<double>(vectors * features), c.threads());
  auto step = make_step("squared_distances", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(rows, tasks, task);
    for (int64_t r = range.begin; r < range.end; ++r) {
      for (int64_t s = 0; s < vectors; ++s)
        b.out<float>()[r * vectors + s] =
            squared_distance(b.in<float>(0) + r * features, b.in<float>(1) + s * features, features);
    }
  });
  step->why = "rows";
  return step;
}

// Which classes decide pair by pair, and how sure they are.
struct Vote {
  int64_t classes = 0;
  std::vector<float> a, b;  // empty: no probabilities

  int64_t pairs() const { return classes * (classes - 1) / 2; }
  int64_t columns() const { return !a.empty() ? classes : pairs() == 1 ? 2 : pairs(); }
};

Result<TensorTypes> infer_vote(const InferContext& c) {
  const Vote vote{c.attributes.integer("classes", 0), c.attributes.numbers("prob_a"), c.attributes.numbers("prob_b")};
  const Shape& x = c.shape(0);
  const auto pairs = static_cast<size_t>(vote.classes < 2 || vote.classes > 1 << 20 ? 0 : vote.pairs());
  if (pairs == 0 || x.rank() != 2 || x[1] != vote.pairs() || vote.a.size() != vote.b.size() ||
      (!vote.a.empty() && vote.a.size() != pairs))
    return Error{ErrorCode::invalid_model,
                 "decisions of " + to_string(c.type(0)) + " for " + std::to_string(vote.classes) + " classes"};
  if (c.type(0).dtype != DType::f32) return Error{ErrorCode::unsupported, "votes by " + to_string(c.type(0))};
  return TensorTypes{{DType::i64, Shape{x[0]}}, {DType::f32, Shape{x[0], vote.columns()}}};
}

int64_t most_voted(const float* decisions, int64_t classes, int64_t* votes) {
  std::fill_n(votes, classes, 0);
  for (int64_t i = 0; i < classes; ++i) {
    for (int64_t j = i + 1; j < classes; ++j) ++votes[*decisions++ > 0 ? i : j];
  }
  return std::max_element(votes, votes + classes) - votes;
}

// r[i][j]: the probability of i against j.
void pair_probabilities(const Vote& vote, const float* decisions, double* r) {
  const int64_t n = vote.classes;
  for (int64_t i = 0, pair = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j, ++pair) {
      const auto p = static_cast<size_t>(pair);
      const double t = static_cast<double>(decisions[pair]) * static_cast<double>(vote.a[p]) + static_cast<double>(vote.b[p]);
      r[i * n + j] = std::clamp(1 / (1 + std::exp(t)), 1e-7, 1 - 1e-7);
      r[j * n + i] = 1 - r[i * n + j];
    }
  }
}

// Minimizes the sum over i and j of (r[j][i] p[i] - r[i][j] p[j])^2 by the paper's iteration. q has n * n, qp n numbers.
void couple(const double* r, int64_t n, double* q, double* qp, float* p_out, double* p) {
  for (int64_t i = 0; i < n; ++i) {
    p[i] = 1.0 / static_cast<double>(n);
    q[i * n + i] = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      q[i * n + i] += r[j * n + i] * r[j * n + i];
      q[i * n + j] = -r[j * n + i] * r[i * n + j];
    }
  }
  const double close_enough = 0.005 / static_cast<double>(n);
  for (int64_t round = 0; round < std::max<int64_t>(100, n); ++round) {
    double pqp = 0, worst = 0;
    for (int64_t i = 0; i < n; ++i) {
      qp[i] = 0;
      for (int64_t j = 0; j < n; ++j) qp[i] += q[i * n + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (int64_t i = 0; i < n; ++i) worst = std::max(worst, std::fabs(qp[i] - pqp));
    if (worst < close_enough) break;
    for (int64_t i = 0; i < n; ++i) {
      const double step = (pqp - qp[i]) / q[i * n + i];
      p[i] += step;
      pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) / ((1 + step) * (1 + step));
      for (int64_t j = 0; j < n; ++j) {
        qp[j] = (qp[j] + step * q[i * n + j]) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
  for (int64_t i = 0; i < n; ++i) p_out[i] = static_cast<float>(p[i]);
}

Result<std::unique_ptr<Step>> prepare_vote(const PrepareContext& c) {
  const Vote vote{c.attributes.integer("classes", 0), c.attributes.numbers("prob_a"), c.attributes.numbers("prob_b")};
  const int64_t rows = c.in(0).type.shape[0], n = vote.classes, pairs = vote.pairs();
  const bool wants_class = c.out(0).present, wants_scores = c.outputs.size() > 1 && c.out(1).present;
  const auto doubles = static_cast<size_t>(2 * n * n + 3 * n);  // r, q, qp, p, votes
  const int tasks = task_count(rows, static_cast<double>(vote.a.empty() ? 2 * pairs : 100 * n * n), c.threads());
  auto step = make_step("pairwise_vote", tasks, [=](const Buffers& b, int task, int worker) {
    double* r = reinterpret_cast<double*>(b.workspace) + static_cast<size_t>(worker) * doubles;
    double *q = r + n * n, *qp = q + n * n, *p = qp + n;
    auto* votes = reinterpret_cast<int64_t*>(p + n);
    const Range range = task_range(rows, tasks, task);
    for (int64_t row = range.begin; row < range.end; ++row) {
      const float* decisions = b.in<float>(0) + row * pairs;
      if (wants_class) b.out<int64_t>(0)[row] = most_voted(decisions, n, votes);
      if (!wants_scores) continue;
      float* scores = b.out<float>(1) + row * vote.columns();
      if (!vote.a.empty()) {
        pair_probabilities(vote, decisions, r);
        couple(r, n, q, qp, scores, p);
      } else if (pairs == 1) {
        scores[0] = -decisions[0], scores[1] = decisions[0];
      } else {
        std::copy_n(decisions, pairs, scores);
      }
    }
  });
  step->workspace_bytes = static_cast<size_t>(c.threads()) * doubles * sizeof(double);
  step->why = vote.a.empty() ? "decisions" : "probabilities";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec SquaredDistances{
    .name = "SquaredDistances", .infer = infer_distances, .prepare = prepare_distances, .required_inputs = 2};
constinit const OpSpec PairwiseVote{.name = "PairwiseVote", .infer = infer_vote, .prepare = prepare_vote};
}  // namespace ops
}  // namespace oxplow
