module Bytes

open System.Text
open FsCheck
open FsCheck.FSharp

let ofText (text: string) = Encoding.UTF8.GetBytes text
let toText (bytes: byte array) = Encoding.UTF8.GetString bytes

/// What has broken printers and parsers before: quotes, escapes, controls, ends of lines, half and overlong UTF-8, encoded surrogates, the line
/// separators of Unicode, direction overrides, characters beyond the BMP, the byte order mark.
let private pieces =
    [ ofText "a"
      ofText "key/1"
      ofText "\""
      ofText "'"
      ofText "\\"
      ofText "\\n"
      ofText "\\x41"
      ofText "\n"
      ofText "\r\n"
      ofText "\t"
      ofText " "
      ofText "#"
      ofText "{\"key\":1}"
      [| 0uy |]
      [| 0x1Buy; 0x5Buy; 0x33uy; 0x31uy; 0x6Duy |]
      [| 0x7Fuy |]
      [| 0xC2uy; 0x85uy |]
      [| 0xC2uy; 0x9Buy |]
      [| 0xC2uy; 0xA0uy |]
      [| 0xFFuy |]
      [| 0xC3uy |]
      [| 0x80uy |]
      [| 0xC0uy; 0x80uy |]
      [| 0xEDuy; 0xA0uy; 0x80uy |]
      [| 0xF4uy; 0x90uy; 0x80uy; 0x80uy |]
      [| 0xF0uy; 0x9Fuy; 0x98uy |]
      ofText "\u2028"
      ofText "\u202E"
      ofText "\uFEFF"
      ofText "\uFFFD"
      ofText "\uFFFF"
      ofText "\u00e9"
      ofText "\U0001F600" ]

let nasty: Gen<byte array> =
    Gen.oneof [ Gen.listOf (Gen.elements pieces) |> Gen.map Array.concat; Gen.arrayOf (Gen.choose (0, 255) |> Gen.map byte) ]

let shrink (bytes: byte array) : byte array seq =
    seq {
        for i in 0 .. bytes.Length - 1 do
            yield Array.removeAt i bytes
    }
