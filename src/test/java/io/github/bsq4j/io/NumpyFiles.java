package io.github.bsq4j.io;

/** Files that NumPy 2.4.6 has written, with {@code numpy.lib.format.write_array}. */
final class NumpyFiles {
  static final byte[] FLOAT32_2X3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAAAAAAADAPwAAAMAAAIB/AQAAAAAAQEA=
          """);

  static final byte[] FLOAT64_3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDMsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAAAAAAADwPwAAAAAAAACAGC1EVPshCUA=
          """);

  static final byte[] INT64_2X1X2 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDIsIDEsIDIpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoBAAAAAAAAAP///////////////////38AAAAAAAAAgA==
          """);

  static final byte[] FLOAT32_SCALAR =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKCksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAACBA
          """);

  static final byte[] FLOAT32_EMPTY =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDAsIDEzKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAo=
          """);

  static final byte[] FLOAT64_FORTRAN_2X3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUn
          OiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAAAAAAAAAAAAAAAAAAAhAAAAAAAAA8D8AAAAAAAAQQAAAAAAAAABAAAAA
          AAAAFEA=
          """);

  static final byte[] INT16_FORTRAN_2X3X4_BIG_ENDIAN =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPmkyJywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUn
          OiAoMiwgMywgNCksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAAAAMAAQAEAAIABQAAQANAAUAEQAJABUAAgAOAAYAEgAKABYAAwAPAAcA
          EwALABc=
          """);

  static final byte[] FLOAT32_BIG_ENDIAN_3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPmY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDMsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAo/gAAAQAAAAMBgAAA=
          """);

  static final byte[] FLOAT16_5 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPGYyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDUsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAPADA/3sBAAB8
          """);

  static final byte[] UINT64_2X2 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnPHU4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDIsIDIpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoBAAAAAAAAAAIAAAAAAAAAAwAAAAAAAAAFAAAAAAAAgA==
          """);

  static final byte[] UINT8_3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDMsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoAf/8=
          """);

  static final byte[] BOOL_2X3 =
      FileBytes.base64(
          """
          k05VTVBZAQB2AHsnZGVzY3InOiAnfGIxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBl
          JzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoBAAEAAAE=
          """);

  static final byte[] INT32_VERSION_2 =
      FileBytes.base64(
          """
          k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hh
          cGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoHAAAA+P///w==
          """);

  static final byte[] INT32_VERSION_3 =
      FileBytes.base64(
          """
          k05VTVBZAwB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hh
          cGUnOiAoMiwpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
          ICAgICAgICAgICAgIAoHAAAA+P///w==
          """);

  private NumpyFiles() {}
}
