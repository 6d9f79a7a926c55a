// What each field of each message fills in. Lists were reserved when the message was opened, so that pointers into them stay good
// while their last element is being read.

#include "oxplow/formats/onnx_parser.h"

namespace oxplow::onnx {
namespace {

int64_t number_of(const WireField& f) { return static_cast<int64_t>(f.scalar); }

}  // namespace

template <typename Enum>
bool Parser::read_enum(Enum& value, const WireField& f) {
  const int64_t number = number_of(f);
  if (number < 0 || number > INT32_MAX) return fail(f.offset, "number " + std::to_string(number) + " is out of range");
  value = static_cast<Enum>(number);
  return true;
}

bool Parser::accept(ModelProto& m, const WireField& f) {
  switch (f.number) {
    case 1: m.ir_version = number_of(f); break;
    case 2: m.producer_name = text_of(f.bytes); break;
    case 3: m.producer_version = text_of(f.bytes); break;
    case 4: m.domain = text_of(f.bytes); break;
    case 5: m.model_version = number_of(f); break;
    case 7: return open(&m.graph, f);
    case 8: return open(&m.opset_imports.emplace_back(), f);
    case 14: return open(&m.metadata.emplace_back(), f);
    case 20: return open(TrainingInfo{&m}, f);
    case 25: return open(&m.functions.emplace_back(), f);
  }
  return true;
}

bool Parser::accept(GraphProto& g, const WireField& f) {
  switch (f.number) {
    case 1: return open(&g.nodes.emplace_back(), f);
    case 2: g.name = text_of(f.bytes); break;
    case 5: return open(&g.initializers.emplace_back(), f);
    case 11: return open(&g.inputs.emplace_back(), f);
    case 12: return open(&g.outputs.emplace_back(), f);
    case 13: return open(&g.value_info.emplace_back(), f);
    case 15: return open(&g.sparse_initializers.emplace_back(), f);
  }
  return true;
}

bool Parser::accept(FunctionProto& u, const WireField& f) {
  switch (f.number) {
    case 1: u.name = text_of(f.bytes); break;
    case 4: u.inputs.push_back(text_of(f.bytes)); break;
    case 5: u.outputs.push_back(text_of(f.bytes)); break;
    case 6: u.attribute_names.push_back(text_of(f.bytes)); break;
    case 7: return open(&u.nodes.emplace_back(), f);
    case 9: return open(&u.opset_imports.emplace_back(), f);
    case 10: u.domain = text_of(f.bytes); break;
    case 11: return open(&u.attributes.emplace_back(), f);
    case 12: return open(&u.value_info.emplace_back(), f);
    case 13: u.overload = text_of(f.bytes); break;
  }
  return true;
}

bool Parser::accept(NodeProto& d, const WireField& f) {
  switch (f.number) {
    case 1: d.inputs.push_back(text_of(f.bytes)); break;
    case 2: d.outputs.push_back(text_of(f.bytes)); break;
    case 3: d.name = text_of(f.bytes); break;
    case 4: d.op_type = text_of(f.bytes); break;
    case 5: return open(&d.attributes.emplace_back(), f);
    case 7: d.domain = text_of(f.bytes); break;
    case 8: d.overload = text_of(f.bytes); break;
  }
  return true;
}

bool Parser::accept(AttributeProto& a, const WireField& f) {
  switch (f.number) {
    case 1: a.name = text_of(f.bytes); break;
    case 2: a.f = std::bit_cast<float>(static_cast<uint32_t>(f.scalar)); break;
    case 3: a.i = number_of(f); break;
    case 4: a.s = text_of(f.bytes); break;
    case 5:
    case 10: return open(&a.tensors.emplace_back(), f);
    case 6:
    case 11: return open(&a.graphs.emplace_back(), f);
    case 7: return append(a.floats, f);
    case 8: return append(a.ints, f);
    case 9: a.strings.push_back(text_of(f.bytes)); break;
    case 14:
    case 15: return open(&a.types.emplace_back(), f);
    case 20: return read_enum(a.type, f);
    case 21: a.ref_attr_name = text_of(f.bytes); break;
    case 22:
    case 23: return open(&a.sparse_tensors.emplace_back(), f);
  }
  return true;
}

bool Parser::accept(TensorProto& t, const WireField& f) {
  switch (f.number) {
    case 1: return append(t.dims, f);
    case 2: return read_enum(t.type, f);
    case 3: return fail(f.offset, "tensors stored in segments are not supported", ErrorCode::unsupported);
    case 8: t.name = text_of(f.bytes); break;
    case 9: t.raw = f.bytes; break;
    case 13: return open(ExternalEntry{}, f);
    case 14:
      if (f.scalar > 1) return fail(f.offset, "number " + std::to_string(f.scalar) + " is neither DEFAULT nor EXTERNAL");
      t.external = f.scalar == 1;
      break;
  }
  return true;  // typed data are read from the message where they are wanted
}

bool Parser::accept(SparseTensorProto& t, const WireField& f) {
  switch (f.number) {
    case 1: return open(&t.values, f);
    case 2: return open(&t.indices, f);
    case 3: return append(t.dims, f);
  }
  return true;
}

bool Parser::accept(ValueInfoProto& v, const WireField& f) {
  if (f.number == 2) return open(&v.type, f);
  v.name = text_of(f.bytes);
  return true;
}

bool Parser::accept(TypeProto& t, const WireField& f) {
  using Kind = TypeProto::Kind;
  switch (f.number) {
    case 1: t.kind = Kind::tensor; return open(TensorType{&t}, f);
    case 4: t.kind = Kind::sequence; return open(InnerType{&t}, f);
    case 5: t.kind = Kind::map; return open(MapType{&t}, f);
    case 8: t.kind = Kind::sparse_tensor; return open(TensorType{&t}, f);
    case 9: t.kind = Kind::optional; return open(InnerType{&t}, f);
  }
  return true;
}

bool Parser::accept(OperatorSet& o, const WireField& f) {
  if (f.number == 2) {
    o.version = number_of(f);
  } else {
    o.domain = text_of(f.bytes);
  }
  return true;
}

bool Parser::accept(Entry& e, const WireField& f) {
  (f.number == 1 ? e.key : e.value) = text_of(f.bytes);
  return true;
}

bool Parser::accept(Dimension& d, const WireField& f) {
  if (f.number == 2) {
    d.symbol = text_of(f.bytes);
    return true;
  }
  const int64_t extent = number_of(f);
  if (extent < -1) return fail(f.offset, "negative extent " + std::to_string(extent));
  if (extent >= 0) d.value = extent;  // -1 is how some exporters say "any"
  return true;
}

bool Parser::accept(const TrainingInfo& i, const WireField& f) { return open(&i.model->training_graphs.emplace_back(), f); }

bool Parser::accept(const TensorType& t, const WireField& f) {
  if (f.number == 1) return read_enum(t.type->element, f);
  t.type->has_shape = true;
  return open(ShapeOfType{t.type}, f);
}

bool Parser::accept(const ShapeOfType& t, const WireField& f) { return open(&t.type->shape.emplace_back(), f); }

bool Parser::accept(const InnerType& t, const WireField& f) { return open(&t.type->inner.emplace_back(), f); }

bool Parser::accept(const MapType& t, const WireField& f) {
  return f.number == 1 ? read_enum(t.type->element, f) : open(&t.type->inner.emplace_back(), f);
}

bool Parser::accept(const ExternalEntry&, const WireField& f) { return accept(external_.entry, f); }

bool Parser::accept(const Segment&, const WireField&) { return true; }

}  // namespace oxplow::onnx
