/// Commands and their results as they travel between the nodes of a site.
module Regatta.Core.Tests.ResultTests

open System
open System.Collections.Immutable
open System.Runtime.InteropServices
open Expecto
open FsCheck
open FsCheck.FSharp
open Regatta
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing
open Regatta.Testing.Tables

let private cases = Scale.pick 500 20_000

let private decodeResult bytes = CommandResultEncoding.Decode bytes |> ignore
let private decodeCommand bytes = ProposalEncoding.Decode bytes |> ignore

let private list (items: 'item seq) = ImmutableArray.CreateRange items

module private Generate =
    /// What a reply holds: small numbers, those at the edges of a byte more, and the largest.
    let number =
        Gen.frequency [ 3, Gen.choose64 (0L, 300L); 1, Gen.elements [ 0L; 127L; 128L; 16383L; 16384L; Int64.MaxValue ] ]

    let private flag = Gen.elements [ true; false ]
    let private bytes source = source |> Gen.map (fun (bytes: Spec.Bytes) -> bytes.Memory)

    let record =
        gen {
            let! key = bytes Spec.Generate.key
            let! create = number
            let! modified = number
            let! version = number
            let! value = bytes Spec.Generate.value
            return KeyRecord(key, RecordHeader(create, modified, version), value)
        }

    let private records = Gen.choose (0, 4) |> Gen.bind (fun length -> Gen.listOfLength length record) |> Gen.map list
    let private previous = Gen.oneof [ Gen.constant null; Gen.map (fun record -> record: KeyRecord | null) record ]

    let private response: Gen<TxnOpResult> =
        Gen.oneof
            [ previous |> Gen.map (fun record -> TxnOpResult.Put record :> TxnOpResult)
              Gen.map2 (fun deleted records -> TxnOpResult.DeleteRange(deleted, records) :> TxnOpResult) number records
              Gen.map3 (fun records more count -> TxnOpResult.Range(records, more, count) :> TxnOpResult) records flag number ]

    let private responses = Gen.choose (0, 5) |> Gen.bind (fun length -> Gen.listOfLength length response) |> Gen.map list

    let result: Gen<CommandResult> =
        Gen.oneof
            [ Gen.map2 (fun revision record -> PutResult(revision, record) :> CommandResult) number previous
              Gen.map3
                  (fun revision deleted records -> DeleteRangeResult(revision, deleted, records) :> CommandResult)
                  number
                  number
                  records
              Gen.map3 (fun revision succeeded all -> TxnResult(revision, succeeded, all) :> CommandResult) number flag responses
              Gen.map (fun revision -> DummyResult revision :> CommandResult) number
              Gen.map2 (fun revision isApplied -> ReplicatedResult(revision, isApplied) :> CommandResult) number flag ]

let private record key value = KeyRecord(bytes key, RecordHeader(3L, 300L, 2L), bytes value)

/// Every kind of result, response and flag.
let private oneOfEach: CommandResult list =
    let responses: TxnOpResult list =
        [ TxnOpResult.Put null
          TxnOpResult.Put(record "k" "v")
          TxnOpResult.DeleteRange(2L, list [ record "l" "1"; record "m" "" ])
          TxnOpResult.DeleteRange(0L, list [])
          TxnOpResult.Range(list [ record "n" "2" ], true, 1L)
          TxnOpResult.Range(list [], false, 1000L) ]

    [ PutResult(1L, null)
      PutResult(Int64.MaxValue, record "key" "value")
      DeleteRangeResult(128L, 1L, list [ record "a" "b" ])
      DeleteRangeResult(2L, 0L, list [])
      TxnResult(5L, true, list responses)
      TxnResult(6L, false, list [])
      DummyResult 7L ]

let private everyResponse () = CommandResultEncoding.Encode(oneOfEach[4])

let private inTheSameWords (result: CommandResult) =
    match result with
    | :? ReplicatedResult as batch -> Choice1Of2 batch
    | command -> Choice2Of2(Translation.reply command)

let private results =
    [ Property.test "comes back as it was sent" cases Generate.result (fun _ -> Seq.empty) (fun result ->
          let back = CommandResultEncoding.Decode(CommandResultEncoding.Encode result)
          Expect.equal (inTheSameWords back) (inTheSameWords result) "the result")

      Property.test "comes back as a table gave it" cases (Spec.Generate.script 12) Spec.Shrink.script (fun commands ->
          for result in TableUnderTest().Apply(List.map Translation.command commands) do
              let back = CommandResultEncoding.Decode(CommandResultEncoding.Encode result)
              Expect.equal (inTheSameWords back) (inTheSameWords result) "the result")

      testCase "has the format of the golden file" (fun () ->
          let all =
              [| for result in oneOfEach do
                     yield! (CommandResultEncoding.Encode result).ToArray() |]

          let golden = Golden.check "results-v1.bin" (ReadOnlyMemory all)
          let mutable start = 0

          for result in oneOfEach do
              let length = (CommandResultEncoding.Encode result).Length
              let back = CommandResultEncoding.Decode(golden.Slice(start, length))
              Expect.equal (inTheSameWords back) (inTheSameWords result) "read from the file"
              start <- start + length)

      testCase "of an unknown kind is refused, and so is a response" (fun () ->
          let kind, responseKind = 1, 5

          Malformed.withByte kind 9uy (everyResponse ())
          |> fun bytes -> refuses "unknown kind of command 9" (fun () -> decodeResult bytes)

          Malformed.withByte responseKind 9uy (everyResponse ())
          |> fun bytes -> refuses "unknown kind of response 9" (fun () -> decodeResult bytes))

      testCase "with unknown flags is refused" (fun () ->
          let flags = 3
          refuses "unknown flags 0x03" (fun () -> decodeResult (Malformed.withByte flags 3uy (everyResponse ()))))

      testCase "that announces more records than its bytes can hold is refused" (fun () ->
          // [format][delete range][revision][deleted][n], and 29 bytes where 6 records need 30.
          let records = Array.zeroCreate<byte> 29
          refuses "6 items are announced" (fun () -> decodeResult (ReadOnlyMemory [| 1uy; 2uy; 1uy; 0uy; 6uy; yield! records |])))

      testCase "with a negative number is not written" (fun () ->
          Expect.throwsT<OverflowException> (fun () -> CommandResultEncoding.Encode(DummyResult -1L) |> ignore) "the revision") ]

let private proposals =
    [ Property.test "comes back as it was sent" cases (Spec.Generate.script 6) Spec.Shrink.script (fun commands ->
          for command in commands do
              let back = ProposalEncoding.Decode(ProposalEncoding.Encode(Translation.command command))
              Expect.equal (Decoded.command back) command "the command")

      testCase "is made in its final size, one byte longer than in an entry" (fun () ->
          let command = put "key" (String('v', 1000))
          let encoded = ProposalEncoding.Encode command
          let array = (MemoryMarshal.TryGetArray encoded |> snd).Array
          Expect.equal encoded.Length (1 + int (EntryWriter.Measure command)) "bytes"
          Expect.equal (Option.ofObj array |> Option.map _.Length) (Some encoded.Length) "bytes of the array") ]

let private everyOperation () =
    ProposalEncoding.Encode(
        txn [ compareValue (interval "a" "b") CompareOperator.Equal "v" ] [ putOp "k" "v"; deleteOp (from "l") ] [ rangeOp everything ]
    )

let tests =
    testList
        "between nodes"
        [ testList "a result" (results @ Malformed.tests "Command result" everyResponse decodeResult)
          testList "a proposal" (proposals @ Malformed.tests "Proposal" everyOperation decodeCommand) ]
