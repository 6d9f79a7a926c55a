// Tensors, in and out by reference: NumPy's arrays as bytes with a type beside them (it knows no bf16), others by DLPack.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "oxplow/apps/python/bindings.h"
#include "oxplow/apps/python/errors.h"

namespace oxplow::python {

namespace nb = nanobind;
using nb::dlpack::dtype_code;

namespace {

struct ElementType {
  DType dtype;
  const char* name;
  std::optional<dtype_code> code;  // none: DLPack does not have it
};

constexpr ElementType kElementTypes[] = {
    {DType::f64, "float64", dtype_code::Float},
    {DType::f32, "float32", dtype_code::Float},
    {DType::f16, "float16", dtype_code::Float},
    {DType::bf16, "bfloat16", dtype_code::Bfloat},
    {DType::i64, "int64", dtype_code::Int},
    {DType::i32, "int32", dtype_code::Int},
    {DType::i16, "int16", dtype_code::Int},
    {DType::i8, "int8", dtype_code::Int},
    {DType::i4, "int4", std::nullopt},
    {DType::u64, "uint64", dtype_code::UInt},
    {DType::u32, "uint32", dtype_code::UInt},
    {DType::u16, "uint16", dtype_code::UInt},
    {DType::u8, "uint8", dtype_code::UInt},
    {DType::u4, "uint4", std::nullopt},
    {DType::boolean, "bool", dtype_code::Bool},
    {DType::f8e4m3fn, "float8_e4m3fn", dtype_code::Float8_E4M3FN},
    {DType::f8e4m3fnuz, "float8_e4m3fnuz", dtype_code::Float8_E4M3FNUZ},
    {DType::f8e5m2, "float8_e5m2", dtype_code::Float8_E5M2},
    {DType::f8e5m2fnuz, "float8_e5m2fnuz", dtype_code::Float8_E5M2FNUZ},
    {DType::f8e8m0, "float8_e8m0fnu", dtype_code::Float8_E8M0FNU},
    {DType::f4e2m1, "float4_e2m1fn", std::nullopt},
    {DType::i2, "int2", std::nullopt},
    {DType::u2, "uint2", std::nullopt},
    {DType::string, "string", std::nullopt},
};

const ElementType& element_type(DType dtype) {
  for (const ElementType& type : kElementTypes) {
    if (type.dtype == dtype) return type;
  }
  raise({ErrorCode::unsupported, std::string("tensors of ") + name_of(dtype) + " have no form in Python"});
}

DType dtype_named(std::string_view name) {
  for (const ElementType& type : kElementTypes) {
    if (type.name == name && type.dtype != DType::string) return type.dtype;
  }
  raise({ErrorCode::unsupported, "no tensor has elements of type " + std::string(name)});
}

DType dtype_of_dlpack(nb::dlpack::dtype wanted) {
  for (const ElementType& type : kElementTypes) {
    if (type.code && static_cast<uint8_t>(*type.code) == wanted.code && bits_of(type.dtype) == wanted.bits && wanted.lanes == 1)
      return type.dtype;
  }
  raise({ErrorCode::unsupported, "no tensor has elements of DLPack type " + std::to_string(wanted.code) + " with " +
                                     std::to_string(wanted.bits) + " bits"});
}

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

// Keeps an array alive. Whoever lets go of it last may be without the interpreter's lock.
template <typename Array>
std::shared_ptr<const void> owner_of(Array array) {
  return {new Array(std::move(array)), [](Array* kept) {
            const nb::gil_scoped_acquire lock;
            delete kept;
          }};
}

Tensor from_bytes(Bytes bytes, std::string_view dtype, const std::vector<int64_t>& shape) {
  const void* data = bytes.data();
  const size_t size = bytes.size();
  Tensor tensor = value_of(Tensor::borrow(dtype_named(dtype), Shape(std::span(shape)), data, owner_of(std::move(bytes))));
  if (tensor.bytes() != size)
    raise({ErrorCode::invalid_argument,
           std::to_string(size) + " bytes for a tensor of " + std::to_string(tensor.bytes()) + " bytes"});
  return tensor;
}

Tensor from_dlpack(AnyArray array) {
  const std::vector<int64_t> shape(array.shape_ptr(), array.shape_ptr() + array.ndim());
  const DType dtype = dtype_of_dlpack(array.dtype());
  const void* data = array.data();
  return value_of(Tensor::borrow(dtype, Shape(std::span(shape)), data, owner_of(std::move(array))));
}

Tensor from_strings(const nb::list& values, const std::vector<int64_t>& shape) {
  std::vector<std::string> texts;
  for (nb::handle value : values) {
    const auto text = nb::cast<nb::bytes>(value);
    texts.emplace_back(text.c_str(), text.size());
  }
  return value_of(Tensor::strings(std::move(texts), Shape(std::span(shape))));
}

// As bytes: nobody says that they are UTF-8.
nb::list strings_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::string) raise({ErrorCode::invalid_argument, "strings() of a tensor of numbers"});
  nb::list strings;
  for (std::string_view text : tensor.values<std::string_view>()) strings.append(nb::bytes(text.data(), text.size()));
  return strings;
}

nb::object bytes_of(nb::pointer_and_handle<Tensor> self) {
  if (self.p->dtype() == DType::string) raise({ErrorCode::invalid_argument, "bytes() of a tensor of strings"});
  const size_t shape[] = {self.p->bytes()};
  return nb::cast(nb::ndarray<nb::numpy, uint8_t>(const_cast<void*>(self.p->data()), 1, shape, self.h));
}

// A capsule, whatever version or stream is asked for.
nb::object to_dlpack(nb::pointer_and_handle<Tensor> self, const nb::kwargs&) {
  const Tensor& tensor = *self.p;
  const ElementType& type = element_type(tensor.dtype());
  if (!type.code) raise({ErrorCode::unsupported, std::string("DLPack has no ") + type.name + ": take NumPy arrays"});
  const std::vector<size_t> shape(tensor.shape().begin(), tensor.shape().end());
  const nb::dlpack::dtype dtype{static_cast<uint8_t>(*type.code), static_cast<uint8_t>(bits_of(tensor.dtype())), 1};
  const nb::ndarray<> array(const_cast<void*>(tensor.data()), shape.size(), shape.data(), self.h, nullptr, dtype,
                            nb::device::cpu::value);
  return nb::cast(array);
}

nb::tuple shape_of(const Tensor& tensor) {
  nb::list extents;
  for (const int64_t extent : tensor.shape()) extents.append(extent);
  return nb::tuple(extents);
}

}  // namespace

const char* numpy_name(DType dtype) { return element_type(dtype).name; }

void bind_tensors(nb::module_& module) {
  nb::class_<Tensor>(
      module, "Tensor",
      "A dense array in memory. torch.from_dlpack() and the like take it without copying; numpy() too, where NumPy "
      "knows the element type.")
      .def_static("from_bytes", &from_bytes, nb::arg("data"), nb::arg("dtype"), nb::arg("shape"),
                  "Borrows `data` as a tensor of this element type and shape; 4-bit elements lie two to a byte, low half first.")
      .def_static("from_strings", &from_strings, nb::arg("values"), nb::arg("shape"),
                  nb::sig("def from_strings(values: list[bytes], shape: collections.abc.Sequence[int]) -> Tensor"),
                  "Copies strings, row-major.")
      .def("strings", &strings_of, nb::sig("def strings(self) -> list[bytes]"), "The elements of a tensor of strings, row-major.")
      .def_static("from_dlpack", &from_dlpack, nb::arg("array"), nb::sig("def from_dlpack(array: typing.Any) -> Tensor"),
                  "Borrows a dense array, or a DLPack capsule of one.")
      .def_prop_ro(
          "dtype", [](const Tensor& tensor) { return numpy_name(tensor.dtype()); }, "The element type, \"float32\" and so on.")
      .def_prop_ro(
          "bits", [](const Tensor& tensor) { return oxplow::bits_of(tensor.dtype()); }, "Bits of an element.")
      .def_prop_ro("shape", &shape_of, nb::sig("def shape(self) -> tuple[int, ...]"), "The extents, outermost first.")
      .def("bytes", &bytes_of, nb::sig("def bytes(self) -> numpy.typing.NDArray[numpy.uint8]"),
           "The memory, as an array that shares it.")
      .def("__dlpack__", &to_dlpack, nb::sig("def __dlpack__(self, **arguments: typing.Any) -> typing.Any"))
      .def(
          "__dlpack_device__", [](const Tensor&) { return nb::make_tuple(int{nb::device::cpu::value}, 0); },
          nb::sig("def __dlpack_device__(self) -> tuple[int, int]"));
}

}  // namespace oxplow::python
