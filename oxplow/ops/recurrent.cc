// RNN, GRU and LSTM, in one or both directions.
//   inputs: x [T, B, I], weights [D, G H, I], recurrent weights [D, G H, H], bias [D, 2 G H], lengths [B], initial h [D, B, H]; LSTM:
//   initial c [D, B, H], peepholes [D, 3 H]. outputs: y [T, D, B, H], last h [D, B, H]; LSTM: last c. layout 1: batch comes first.
//   RNN:  h <- f(W x + R h + b)
//   GRU:  z, r <- f(...), n <- g(W x + R (r h) + b), or with linear_before_reset g(W x + r (R h + Rb) + Wb);  h <- (1 - z) n + z h
//   LSTM: i, f <- f(... + P c), n <- g(...), c <- f c + i n, o <- f(... + P c), h <- o h(c); gates in the order i o f n
// The part of x is one matrix product over all steps; then each direction goes its way, a few sequences a task.

#include <algorithm>

#include "oxplow/kernels/gemm/gemm.h"
#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/gate_function.h"

namespace oxplow {
namespace {

enum class Cell { rnn, gru, lstm };
enum Input { kX, kW, kR, kBias, kLengths, kInitialH, kInitialC, kPeepholes };
enum Output { kY, kLastH, kLastC };

constexpr int gates_of(Cell cell) { return cell == Cell::rnn ? 1 : cell == Cell::gru ? 3 : 4; }

struct Network {
  Cell cell = Cell::rnn;
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0;
  int directions = 1;
  bool backward_first = false, batch_first = false, linear_before_reset = false, input_forget = false;
  float clip = 0;  // 0: none
  std::vector<GateFunction> functions;

  int64_t gates() const { return gates_of(cell) * hidden; }
  size_t functions_each() const { return functions.size() / static_cast<size_t>(directions); }
  bool backward(int64_t d) const { return d == 1 || backward_first; }
  // Places: a step of x; a step of y of a direction; a state of a direction.
  int64_t x_row(int64_t t, int64_t b) const { return batch_first ? b * steps + t : t * batch + b; }
  int64_t y_row(int64_t t, int64_t d, int64_t b) const {
    return batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b;
  }
  int64_t state_row(int64_t d, int64_t b) const { return batch_first ? b * directions + d : d * batch + b; }
};

Error misfit(const InferContext& c, const std::string& what) {
  return {ErrorCode::invalid_model, what + " of a recurrent network over " + to_string(c.type(kX)) + " with weights " +
                                        to_string(c.type(kW)) + " and " + to_string(c.type(kR))};
}

Status check_operands(const InferContext& c, const Network& n) {
  const Shape state = n.batch_first ? Shape{n.batch, n.directions, n.hidden} : Shape{n.directions, n.batch, n.hidden};
  const int64_t d = n.directions;
  if (c.shape(kW) != Shape{d, n.gates(), n.inputs}) return misfit(c, "the weights");
  if (c.shape(kR) != Shape{d, n.gates(), n.hidden}) return misfit(c, "the recurrent weights");
  if (c.has(kBias) && c.shape(kBias) != Shape{d, 2 * n.gates()}) return misfit(c, "the bias");
  if (c.has(kLengths) && (c.type(kLengths).dtype != DType::i32 || c.shape(kLengths) != Shape{n.batch}))
    return misfit(c, "the lengths");
  if (c.has(kInitialH) && c.shape(kInitialH) != state) return misfit(c, "the initial state");
  if (n.cell == Cell::lstm && c.has(kInitialC) && c.shape(kInitialC) != state) return misfit(c, "the initial cell");
  if (n.cell == Cell::lstm && c.has(kPeepholes) && c.shape(kPeepholes) != Shape{d, 3 * n.hidden})
    return misfit(c, "the peepholes");
  for (int i = 1; i < static_cast<int>(c.inputs.size()); ++i) {
    if (c.has(i) && i != kLengths && c.type(i).dtype != c.type(kX).dtype) return misfit(c, "a type");
  }
  return {};
}

Result<Network> network_of(const InferContext& c, Cell cell) {
  const Attributes& a = c.attributes;
  Network n;
  n.cell = cell;
  const std::string direction = a.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return Error{ErrorCode::unsupported, "the direction '" + direction + "'"};
  n.directions = direction == "bidirectional" ? 2 : 1;
  n.backward_first = direction == "reverse";
  n.batch_first = a.integer("layout", 0) != 0;
  n.linear_before_reset = a.integer("linear_before_reset", 0) != 0;
  n.input_forget = a.integer("input_forget", 0) != 0;
  n.clip = a.number("clip", 0);
  const Shape &x = c.shape(kX), &r = c.shape(kR);
  if (x.rank() != 3 || r.rank() != 3 || r[2] >= int64_t{1} << 31) return misfit(c, "an operand");
  n.steps = x[n.batch_first ? 1 : 0], n.batch = x[n.batch_first ? 0 : 1], n.inputs = x[2], n.hidden = r[2];
  const std::vector<std::string> otherwise = cell == Cell::rnn   ? std::vector<std::string>{"Tanh"}
                                             : cell == Cell::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                 : std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"};
  OXPLOW_ASSIGN(n.functions, gate_functions(a, n.directions, otherwise));
  OXPLOW_TRY(check_operands(c, n));
  return n;
}

template <Cell kCell>
Result<TensorTypes> infer_recurrent(const InferContext& c) {
  OXPLOW_ASSIGN(const Network n, network_of(c, kCell));
  const DType dtype = c.type(kX).dtype;
  const Shape y =
      n.batch_first ? Shape{n.batch, n.steps, n.directions, n.hidden} : Shape{n.steps, n.directions, n.batch, n.hidden};
  const Shape state = n.batch_first ? Shape{n.batch, n.directions, n.hidden} : Shape{n.directions, n.batch, n.hidden};
  TensorTypes types{{dtype, y}, {dtype, state}};
  if (kCell == Cell::lstm) types.push_back({dtype, state});
  return types;
}

// y [m][rows] = x [m][depth] times the transpose of weights [rows][depth], for each direction: packed for the kernel, or as they lie.
template <typename T>
struct Weights {
  int input = kW;
  int64_t first_row = 0, rows = 0, depth = 0, all_rows = 0;  // of all_rows of a direction
  const GemmKernel* gemm = nullptr;
  std::shared_ptr<const Buffer> packed;
  size_t direction_bytes = 0;

  Status pack(const PrepareContext& c, int directions) {
    const Tensor* w = c.in(input).constant;
    if (!std::is_same_v<T, float> || w == nullptr || w->elements() == 0) return {};
    gemm = find_gemm(c.isa, DType::f32, DType::f32, depth, rows);
    if (gemm == nullptr) return {};
    direction_bytes = round_up(gemm->packed_bytes(depth, rows), kCacheLine);
    const std::string key = std::string("recurrent_") + gemm->name + "_" + std::to_string(first_row) + "_" + std::to_string(rows);
    OXPLOW_ASSIGN(packed, c.packs.get(*w, key, direction_bytes * static_cast<size_t>(directions), [&](void* to) {
      for (int64_t d = 0; d < directions; ++d) {
        gemm->pack(w->values<float>().data() + (d * all_rows + first_row) * depth, 1, depth, depth, rows, 0, panels(),
                   static_cast<std::byte*>(to) + static_cast<size_t>(d) * direction_bytes);
      }
    }));
    return {};
  }
  int64_t panels() const { return (rows + gemm->panel_columns - 1) / gemm->panel_columns; }

  void multiply(const Buffers& b, int64_t d, const Wide<T>* x, int64_t m, Wide<T>* y) const {
    if constexpr (std::is_same_v<T, float>) {
      if (packed) {
        GemmArgs args;
        args.m = m, args.n = rows, args.k = depth;
        args.a = x, args.lda = depth;
        args.b = packed->data() + static_cast<size_t>(d) * direction_bytes;
        args.c = y, args.ldc = rows;
        return gemm->run(args, 0, m, 0, panels());
      }
    }
    const T* w = b.in<T>(static_cast<size_t>(input)) + (d * all_rows + first_row) * depth;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t r = 0; r < rows; ++r) {
        Wide<T> sum = 0;
        for (int64_t k = 0; k < depth; ++k) sum += x[i * depth + k] * static_cast<Wide<T>>(w[r * depth + k]);
        y[i * rows + r] = sum;
      }
    }
  }
};

// Sequences a task takes through all steps at once: as many as keep the recurrent weights busy.
constexpr int64_t kSequences = 16;
constexpr int64_t kRows = 64;  // of x multiplied at once

// Phase 0: the gates' part of x for all steps and directions, into the workspace. Phase 1: the steps.
template <typename T>
struct RecurrentStep final : Step {
  using C = Wide<T>;
  Network n;
  Weights<T> from_input, from_state, from_reset;  // from_reset: a GRU's last gate, when it sees the reset state
  const EltwiseKernels* eltwise = nullptr;
  bool has_bias = false, has_lengths = false, has_h = false, has_c = false, has_peepholes = false;
  bool gives_y = false, gives_h = false, gives_c = false;
  size_t input_gates_bytes = 0, scratch_bytes = 0;

  int64_t row_blocks() const { return (n.steps * n.batch + kRows - 1) / kRows; }
  int64_t groups() const { return (n.batch + kSequences - 1) / kSequences; }

  void run(const Buffers& b, int phase, int task, int worker) const override {
    const Range range =
        task_range((phase == 0 ? row_blocks() : groups()) * n.directions, phase_tasks[static_cast<size_t>(phase)], task);
    auto* scratch = reinterpret_cast<C*>(b.workspace + input_gates_bytes + static_cast<size_t>(worker) * scratch_bytes);
    for (int64_t u = range.begin; u < range.end; ++u) {
      if (phase == 0) {
        multiply_inputs(b, u / row_blocks(), u % row_blocks() * kRows, scratch);
      } else {
        sequences(b, u / groups(), u % groups() * kSequences, scratch);
      }
    }
  }
  C* input_gates(const Buffers& b, int64_t d) const {
    return reinterpret_cast<C*>(b.workspace) + d * n.steps * n.batch * n.gates();
  }

  void multiply_inputs(const Buffers& b, int64_t d, int64_t first, C* scratch) const {
    const int64_t count = std::min(kRows, n.steps * n.batch - first);
    const T* x = b.in<T>(kX) + first * n.inputs;
    const C* rows = scratch;
    if constexpr (std::is_same_v<T, C>) {
      rows = x;
    } else {
      for (int64_t i = 0; i < count * n.inputs; ++i) scratch[i] = static_cast<C>(x[i]);
    }
    from_input.multiply(b, d, rows, count, input_gates(b, d) + first * n.gates());
  }

  // Scratch of a task: states h and c, gates, and a state or gate more, each of `count` sequences.
  struct State {
    C *h, *c, *gates, *extra;
  };
  State state_in(C* scratch) const {
    const int64_t size = kSequences * n.hidden;
    return {scratch, scratch + size, scratch + 2 * size, scratch + 2 * size + kSequences * n.gates()};
  }
  static int64_t scratch_numbers(const Network& n) {
    return std::max(kRows * n.inputs, kSequences * (2 * n.hidden + n.gates() + 2 * n.hidden));
  }

  void sequences(const Buffers& b, int64_t d, int64_t first, C* scratch) const {
    const int64_t count = std::min(kSequences, n.batch - first);
    const State s = state_in(scratch);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < n.hidden; ++j) {
        const int64_t at = n.state_row(d, first + i) * n.hidden + j;
        s.h[i * n.hidden + j] = has_h ? static_cast<C>(b.in<T>(kInitialH)[at]) : C{0};
        s.c[i * n.hidden + j] = has_c ? static_cast<C>(b.in<T>(kInitialC)[at]) : C{0};
      }
    }
    for (int64_t step = 0; step < n.steps; ++step) one_step(b, d, first, count, step, s);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < n.hidden; ++j) {
        const int64_t at = n.state_row(d, first + i) * n.hidden + j;
        if (gives_h) b.out<T>(kLastH)[at] = T(s.h[i * n.hidden + j]);
        if (gives_c) b.out<T>(kLastC)[at] = T(s.c[i * n.hidden + j]);
      }
    }
  }

  int64_t length(const Buffers& b, int64_t sequence) const {
    return has_lengths ? std::clamp<int64_t>(b.in<int32_t>(kLengths)[sequence], 0, n.steps) : n.steps;
  }

  // Step `step` of sequences [first, first + count): sequences that have ended keep their state and give zeros.
  void one_step(const Buffers& b, int64_t d, int64_t first, int64_t count, int64_t step, const State& s) const {
    from_state.multiply(b, d, s.h, count, s.gates);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t end = length(b, first + i);
      const bool ended = step >= end;
      const int64_t t = ended || !n.backward(d) ? step : end - 1 - step;
      C *h = s.h + i * n.hidden, *gates = s.gates + i * from_state.rows;
      if (!ended) {
        const C* x = input_gates(b, d) + n.x_row(t, first + i) * n.gates();
        if (n.cell == Cell::rnn) rnn(b, d, x, gates, h);
        if (n.cell == Cell::gru) gru(b, d, x, gates, h, s.extra);
        if (n.cell == Cell::lstm) lstm(b, d, x, gates, h, s.c + i * n.hidden, s.extra);
      }
      if (!gives_y) continue;
      T* y = b.out<T>(kY) + n.y_row(t, d, first + i) * n.hidden;
      for (int64_t j = 0; j < n.hidden; ++j) y[j] = T(ended ? C{0} : h[j]);
    }
  }

  // Bias of gate unit g: of x (0) or of the state (1).
  C bias(const Buffers& b, int64_t d, int which, int64_t g) const {
    return has_bias ? static_cast<C>(b.in<T>(kBias)[(2 * d + which) * n.gates() + g]) : C{0};
  }
  void activate(int64_t d, size_t function, C* x, int64_t count) const {
    if (n.clip > 0) {
      const C limit = static_cast<C>(n.clip);
      for (int64_t j = 0; j < count; ++j) x[j] = std::clamp(x[j], -limit, limit);
    }
    n.functions[static_cast<size_t>(d) * n.functions_each() + function].apply(x, count, *eltwise);
  }
  // gates += x + both biases, for gate units [begin, end).
  void add_inputs(const Buffers& b, int64_t d, const C* x, C* gates, int64_t begin, int64_t end) const {
    for (int64_t g = begin; g < end; ++g) gates[g] += x[g] + (bias(b, d, 0, g) + bias(b, d, 1, g));
  }

  void rnn(const Buffers& b, int64_t d, const C* x, C* gates, C* h) const {
    add_inputs(b, d, x, gates, 0, n.hidden);
    activate(d, 0, gates, n.hidden);
    std::copy(gates, gates + n.hidden, h);
  }

  void gru(const Buffers& b, int64_t d, const C* x, C* gates, C* h, C* fresh) const {
    const int64_t size = n.hidden;
    const C *z = gates, *r = gates + size;
    add_inputs(b, d, x, gates, 0, 2 * size);
    activate(d, 0, gates, 2 * size);
    if (n.linear_before_reset) {
      for (int64_t j = 0; j < size; ++j) {
        const int64_t g = 2 * size + j;
        fresh[j] = x[g] + r[j] * (gates[g] + bias(b, d, 1, g)) + bias(b, d, 0, g);
      }
    } else {
      C* reset = fresh + size;
      for (int64_t j = 0; j < size; ++j) reset[j] = r[j] * h[j];
      from_reset.multiply(b, d, reset, 1, fresh);
      for (int64_t j = 0; j < size; ++j) {
        const int64_t g = 2 * size + j;
        fresh[j] += x[g] + (bias(b, d, 0, g) + bias(b, d, 1, g));
      }
    }
    activate(d, 1, fresh, size);
    for (int64_t j = 0; j < size; ++j) h[j] = (1 - z[j]) * fresh[j] + z[j] * h[j];
  }

  void lstm(const Buffers& b, int64_t d, const C* x, C* gates, C* h, C* cell, C* scratch) const {
    const int64_t size = n.hidden;
    C *in = gates, *out = gates + size, *forget = gates + 2 * size, *fresh = gates + 3 * size;
    add_inputs(b, d, x, gates, 0, 4 * size);
    const T* peepholes = has_peepholes ? b.in<T>(kPeepholes) + d * 3 * size : nullptr;
    const auto peep = [&](C* gate, int64_t which) {
      for (int64_t j = 0; peepholes && j < size; ++j) gate[j] += static_cast<C>(peepholes[which * size + j]) * cell[j];
    };
    peep(in, 0);
    peep(forget, 2);
    activate(d, 0, in, size);
    activate(d, 0, forget, size);
    activate(d, 1, fresh, size);
    for (int64_t j = 0; j < size; ++j) cell[j] = (n.input_forget ? 1 - in[j] : forget[j]) * cell[j] + in[j] * fresh[j];
    peep(out, 1);
    activate(d, 0, out, size);
    std::copy(cell, cell + size, scratch);
    n.functions[static_cast<size_t>(d) * n.functions_each() + 2].apply(scratch, size, *eltwise);
    for (int64_t j = 0; j < size; ++j) h[j] = out[j] * scratch[j];
  }
};

template <typename T>
Result<std::unique_ptr<Step>> recurrent(const PrepareContext& c, Network n) {
  using C = Wide<T>;
  auto step = std::make_unique<RecurrentStep<T>>();
  const bool resets = n.cell == Cell::gru && !n.linear_before_reset;
  step->from_input = {kW, 0, n.gates(), n.inputs, n.gates(), nullptr, nullptr, 0};
  step->from_state = {kR, 0, resets ? 2 * n.hidden : n.gates(), n.hidden, n.gates(), nullptr, nullptr, 0};
  step->from_reset = {kR, 2 * n.hidden, n.hidden, n.hidden, n.gates(), nullptr, nullptr, 0};
  OXPLOW_TRY(step->from_input.pack(c, n.directions));
  OXPLOW_TRY(step->from_state.pack(c, n.directions));
  if (resets) OXPLOW_TRY(step->from_reset.pack(c, n.directions));
  step->eltwise = &eltwise_kernels(c.isa);
  const auto gives = [&](int i) { return i < static_cast<int>(c.outputs.size()) && c.out(i).present; };
  step->has_bias = c.has(kBias), step->has_lengths = c.has(kLengths), step->has_h = c.has(kInitialH);
  step->has_c = n.cell == Cell::lstm && c.has(kInitialC), step->has_peepholes = n.cell == Cell::lstm && c.has(kPeepholes);
  step->gives_y = gives(kY), step->gives_h = gives(kLastH), step->gives_c = n.cell == Cell::lstm && gives(kLastC);
  const TensorType gates{std::is_same_v<C, double> ? DType::f64 : DType::f32, Shape{n.directions, n.steps, n.batch, n.gates()}};
  if (!is_possible(gates)) return Error{ErrorCode::invalid_model, "gates of " + to_string(gates) + " are impossible"};
  step->input_gates_bytes = round_up(gates.bytes(), kCacheLine);
  step->scratch_bytes = round_up(static_cast<size_t>(RecurrentStep<T>::scratch_numbers(n)) * sizeof(C), kCacheLine);
  step->workspace_bytes = step->input_gates_bytes + step->scratch_bytes * static_cast<size_t>(c.threads());
  step->n = std::move(n);
  const Network& net = step->n;
  const double block = static_cast<double>(kRows * net.inputs * net.gates()) * 0.02;
  step->phase_tasks = {task_count(step->row_blocks() * net.directions, block, c.threads()),
                       part_count(step->groups() * net.directions, step->groups() * net.directions)};
  step->kernel = step->from_state.gemm ? std::string("recurrent_") + step->from_state.gemm->name : "recurrent_plain_loops";
  step->why = "x in one product, then step by step";
  return std::unique_ptr<Step>(std::move(step));
}

template <Cell kCell>
Result<std::unique_ptr<Step>> prepare_recurrent(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Network n, network_of(c.infer(), kCell));
  return visit_floating(c.in(kX).type.dtype, "a recurrent network", [&](auto t) { return recurrent<decltype(t)>(c, n); });
}

}  // namespace

namespace ops {
constinit const OpSpec RNN{
    .name = "RNN", .infer = infer_recurrent<Cell::rnn>, .prepare = prepare_recurrent<Cell::rnn>, .required_inputs = 3};
constinit const OpSpec GRU{
    .name = "GRU", .infer = infer_recurrent<Cell::gru>, .prepare = prepare_recurrent<Cell::gru>, .required_inputs = 3};
constinit const OpSpec LSTM{
    .name = "LSTM", .infer = infer_recurrent<Cell::lstm>, .prepare = prepare_recurrent<Cell::lstm>, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
