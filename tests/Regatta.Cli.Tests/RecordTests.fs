module RecordTests

open System
open System.Buffers
open System.Collections.Generic
open System.IO
open System.Threading
open Expecto
open FsCheck.FSharp
open Google.Protobuf
open Regatta.Cli
open Regatta.Protocol.Mvcc
open Regatta.Testing

let private parse (line: byte array) =
    let mutable key = ByteString.Empty
    let mutable value = ByteString.Empty

    match RecordLine.TryParse(ReadOnlySpan line, &key, &value) with
    | null -> Ok(key.ToByteArray(), value.ToByteArray())
    | error -> Error error

let private dumped withRevisions (key: byte array, value: byte array) =
    let buffer = ArrayBufferWriter<byte>()

    let pair =
        KeyValue(Key = ByteString.CopyFrom key, Value = ByteString.CopyFrom value, CreateRevision = 1L, ModRevision = 2L, Version = 3L)

    KeyValueJson.Write(buffer, pair, true, withRevisions)
    buffer.WrittenSpan.ToArray()

let private pairs = Gen.zip Bytes.nasty Bytes.nasty

let private shrinkPair (key, value) =
    Seq.append (Bytes.shrink key |> Seq.map (fun smaller -> smaller, value)) (Bytes.shrink value |> Seq.map (fun smaller -> key, smaller))

let private expectError (part: string) (line: string) =
    match parse (Bytes.ofText line) with
    | Ok _ -> failtestf "%s was taken" line
    | Error error -> Expect.stringContains error part line

let private lines =
    testList
        "A record"
        [ Property.test "that dump writes is read by load as the same bytes, on one line" 2000 pairs shrinkPair (fun pair ->
              for withRevisions in [ false; true ] do
                  let line = dumped withRevisions pair
                  Expect.isFalse (Array.contains 10uy line) "a line feed within the line"
                  Expect.equal (parse line) (Ok pair) "reading back")

          testCase "may have its fields in any order, blanks, and either form for key and value" (fun () ->
              Expect.equal
                  (parse (Bytes.ofText """ { "value" : "b" , "key_b64" : "AP8=" } """))
                  (Ok([| 0uy; 255uy |], Bytes.ofText "b"))
                  "mixed"

              Expect.equal
                  (parse (Bytes.ofText """{"key":"\u0041\u00e9\ud83d\ude00","value":""}"""))
                  (Ok(Bytes.ofText "A\u00e9\U0001F600", [||]))
                  "escapes")

          testCase "that is wrong is refused with what is wrong" (fun () ->
              expectError "value is missing" """{"key":"a"}"""
              expectError "key is missing" """{"value":"a"}"""
              expectError "key is given twice" """{"key":"a","key":"b","value":""}"""
              expectError "key is given twice" """{"key":"a","key_b64":"Yg==","value":""}"""
              expectError "vlaue is not a field" """{"key":"a","vlaue":"b"}"""
              expectError "value is not a string" """{"key":"a","value":1}"""
              expectError "key_b64 is not" """{"key_b64":"?","value":""}"""
              expectError "key_b64 is not" """{"key_b64":7,"value":""}"""
              expectError "half a surrogate" """{"key":"\ud800","value":""}"""
              expectError "not JSON" """{"key":"a","value":"b"} x"""
              expectError "not JSON" """{"key":"a","value":"b"}{"key":"c","value":"d"}"""
              expectError "not JSON" """{"key":"a","value":"b" """
              expectError "not JSON" "hello"
              expectError "a record is an object" "[]"
              expectError "a record is an object" "1"
              expectError "are numbers" """{"key":"a","value":"b","version":"1"}"""

              match parse (Array.concat [ Bytes.ofText "{\"key\":\""; [| 0xFFuy |]; Bytes.ofText "\",\"value\":\"\"}" ]) with
              | Error _ -> ()
              | Ok _ -> failtest "a key that is not UTF-8 was taken") ]

/// Hands out at most a few bytes at a time, so that lines end in the middle of a read.
type private Dripping(bytes: byte array, piece: int) =
    inherit MemoryStream(bytes)

    override this.ReadAsync(buffer: Memory<byte>, token: CancellationToken) =
        base.ReadAsync(buffer.Slice(0, min piece buffer.Length), token)

let private readAll (reader: RecordReader) =
    task {
        let found = List<int64 * string * string>()
        let records = reader.ReadAsync(CancellationToken.None).GetAsyncEnumerator()
        let mutable go = true

        while go do
            let! more = records.MoveNextAsync()
            go <- more

            if more then
                let record = records.Current
                found.Add(record.Position, record.Key.ToStringUtf8(), record.Value.ToStringUtf8())

        do! records.DisposeAsync()
        return List.ofSeq found
    }

let private record key = $"{{\"key\":\"{key}\",\"value\":\"v\"}}"

let private files =
    testList
        "A file of records"
        [ testCaseTask "is numbered from line 1, blank lines count, and the last line needs no line feed" (fun () ->
              task {
                  let text = String.concat "\n" [ "\uFEFF" + record "a"; ""; record "b" + "\r"; "  "; record "c" ]

                  for piece in [ 1; 7; 1000 ] do
                      let reader = RecordReader(new Dripping(Bytes.ofText text, piece), 1L, false)
                      let! found = readAll reader
                      Expect.equal found [ 1L, "a", "v"; 3L, "b", "v"; 5L, "c", "v" ] $"in pieces of {piece}"
                      Expect.equal reader.BytesRead (int64 (Bytes.ofText text).Length) "all bytes count as read"
              })

          testCaseTask "ends at the first line that is no record, and says which it is" (fun () ->
              task {
                  let reader = RecordReader(new MemoryStream(Bytes.ofText (String.concat "\n" [ record "a"; "x"; record "b" ])), 1L, false)
                  let! found = readAll reader
                  Expect.equal found [ 1L, "a", "v" ] "what comes before"
                  Expect.equal [ for error in reader.Errors -> error.Line ] [ 2L ] "the line"
              })

          testCaseTask "goes on behind such lines when told so, and counts them" (fun () ->
              task {
                  let reader =
                      RecordReader(new MemoryStream(Bytes.ofText (String.concat "\n" [ "x"; record "a"; "y"; record "b" ])), 1L, true)

                  let! found = readAll reader
                  Expect.equal found [ 2L, "a", "v"; 4L, "b", "v" ] "the others"
                  Expect.equal reader.Malformed 2L "counted"
              })

          testCaseTask "can be begun in the middle" (fun () ->
              task {
                  let reader =
                      RecordReader(new MemoryStream(Bytes.ofText (String.concat "\n" [ "not read"; record "a"; record "b" ])), 2L, false)

                  let! found = readAll reader
                  Expect.equal found [ 2L, "a", "v"; 3L, "b", "v" ] "from line 2 on"
              }) ]

let all = testList "records" [ lines; files ]
