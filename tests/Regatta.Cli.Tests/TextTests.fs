module TextTests

open System
open System.Buffers
open System.Text.Json
open Expecto
open Google.Protobuf
open Regatta.Cli
open Regatta.Client
open Regatta.Testing

let private text (bytes: byte array) = EscapedText.Of(ReadOnlySpan bytes)

let private parse (text: string) =
    let mutable bytes = [||]
    let mutable error = null
    if EscapedText.TryParse(text, &bytes, &error) then Ok bytes else Error(string error)

let private isSafe (shown: string) =
    shown
    |> Seq.forall (fun c -> not (Char.IsControl c) && c <> '\u2028' && c <> '\u2029' && c <> '\u202E' && c <> '\uFEFF')

let private escaped =
    testList
        "Escaped text"
        [ Property.test
              "of any bytes is one line without control characters, and reads back as the same bytes"
              2000
              Bytes.nasty
              Bytes.shrink
              (fun bytes ->
                  let shown = text bytes
                  Expect.isTrue (isSafe shown) $"%A{shown} would steer a terminal"
                  Expect.equal (parse shown) (Ok bytes) "reading back")

          testCase "is readable where the bytes are" (fun () ->
              Expect.equal (text (Bytes.ofText "caf\u00e9 \U0001F600")) "caf\u00e9 \U0001F600" "UTF-8 stays"
              Expect.equal (text (Bytes.ofText "a\tb\nc\rd\\e")) "a\\tb\\nc\\rd\\\\e" "shorthands"
              Expect.equal (text [| 0uy; 0xFFuy; 65uy |]) "\\x00\\xffA" "other bytes"
              Expect.equal (text [| 0xC2uy; 0x9Buy |]) "\\xc2\\x9b" "a control character of two bytes")

          testCase "refuses escapes that do not exist" (fun () ->
              for wrong in [ "a\\q"; "\\"; "\\x"; "\\xg0"; "\\x4" ] do
                  Expect.isError (parse wrong) wrong)

          testCase "is cut to a length with dots that say so" (fun () ->
              Expect.equal (EscapedText.Shortened(ReadOnlySpan(Bytes.ofText "12345678"), 8)) "12345678" "fits"
              Expect.equal (EscapedText.Shortened(ReadOnlySpan(Bytes.ofText "123456789"), 8)) "12345..." "does not fit"
              Expect.equal (EscapedText.Shortened(ReadOnlySpan(Array.create 10000 1uy), 8)) "\\x01\\..." "long binary"

              Expect.equal
                  (EscapedText.Shortened(ReadOnlySpan(Bytes.ofText "abcd\U0001F600\U0001F600\U0001F600"), 8))
                  "abcd..."
                  "between characters") ]

let private json (bytes: byte array) =
    let buffer = ArrayBufferWriter<byte>()
    buffer.Write(ReadOnlySpan(Bytes.ofText "{"))
    JsonText.WriteField(buffer, ReadOnlySpan(Bytes.ofText "key"), ReadOnlySpan bytes)
    buffer.Write(ReadOnlySpan(Bytes.ofText "}"))
    Bytes.toText (buffer.WrittenSpan.ToArray())

let private jsonText =
    testList
        "JSON text"
        [ Property.test "of any bytes is read back by another parser as the same bytes" 2000 Bytes.nasty Bytes.shrink (fun bytes ->
              use document = JsonDocument.Parse(json bytes)

              let read =
                  match document.RootElement.TryGetProperty "key" with
                  | true, value -> Bytes.ofText (nonNull (value.GetString()))
                  | _ -> document.RootElement.GetProperty("key_b64").GetBytesFromBase64()

              Expect.equal read bytes "reading back")

          testCase "has only the escapes that JSON demands, and those for control characters" (fun () ->
              Expect.equal
                  (json (Bytes.ofText "\"\\\b\f\n\r\t\u0001\u001f\u007f\u0085</script>\u00e9\u2028\U0001F600"))
                  "{\"key\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u0085</script>\u00e9\u2028\U0001F600\"}"
                  "escapes"

              Expect.equal (json [| 0xFFuy; 0uy |]) "{\"key_b64\":\"/wA=\"}" "not UTF-8") ]

let private selection =
    let prefix (bytes: byte array) =
        let keys = KeySelection.Prefix(ByteString.CopyFrom bytes)
        keys.Key.ToByteArray(), keys.RangeEnd.ToByteArray()

    testList
        "A prefix"
        [ testCase "ends behind its last key" (fun () ->
              Expect.equal (prefix (Bytes.ofText "lib")) (Bytes.ofText "lib", Bytes.ofText "lic") "plain"
              Expect.equal (prefix [| 1uy; 255uy |]) ([| 1uy; 255uy |], [| 2uy |]) "the last byte cannot grow"
              Expect.equal (prefix [| 255uy; 255uy |]) ([| 255uy; 255uy |], [| 0uy |]) "no byte can grow: to the end of the table"
              Expect.equal (prefix [||]) ([| 0uy |], [| 0uy |]) "nothing: all keys") ]

let private endpoint (text: string) =
    let mutable endpoint = null
    let mutable error = null
    if Endpoint.TryParse(text, &endpoint, &error) then Ok(string endpoint) else Error(string error)

let private arguments =
    testList
        "Arguments"
        [ testCase "endpoints have a host and a port, with or without http" (fun () ->
              Expect.equal (endpoint "localhost:8443") (Ok "localhost:8443") "plain"
              Expect.equal (endpoint " http://10.0.0.1:1/ ") (Ok "10.0.0.1:1") "URL"
              Expect.equal (endpoint "[::1]:8443") (Ok "[::1]:8443") "IPv6"

              for wrong in [ ""; "localhost"; ":8443"; "localhost:"; "localhost:0"; "localhost:65536"; "::1:8443"; "a b:1"; "host:-1" ] do
                  Expect.isError (endpoint wrong) wrong

              match endpoint "https://localhost:8443" with
              | Error error -> Expect.stringContains error "TLS" "says why"
              | Ok _ -> failtest "https was taken")

          testCase "durations have a unit" (fun () ->
              let parse (text: string) =
                  let mutable value = TimeSpan.Zero
                  if Duration.TryParse(text, &value) then Some value.TotalMilliseconds else None

              Expect.equal (parse "500ms") (Some 500.0) "ms"
              Expect.equal (parse "1.5s") (Some 1500.0) "s"
              Expect.equal (parse "2m") (Some 120000.0) "m"
              Expect.equal (parse "1h") (Some 3600000.0) "h"

              for wrong in [ ""; "5"; "s"; "-1s"; "0s"; "25h"; "1d" ] do
                  Expect.isNone (parse wrong) wrong)

          testCase "a guess at a mistyped word needs a word that is near" (fun () ->
              let known = [ "get"; "put"; "range"; "api.address" ]
              Expect.equal (Nearest.Of("gte", known)) "get" "two letters swapped"
              Expect.equal (Nearest.Of("api.adress", known)) "api.address" "one missing"
              Expect.isNull (Nearest.Of("xyz", known)) "nothing near") ]

let all = testList "text" [ escaped; jsonText; selection; arguments ]
