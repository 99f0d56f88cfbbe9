module Regatta.Core.Tests.EntryTests

open System
open System.IO
open System.Runtime.InteropServices
open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Core.Tests.Build
open Regatta.Testing
open Regatta.Testing.Tables


let private cases = Scale.pick 500 20_000
let private commandLists = Regatta.Spec.Generate.script 12

let private encoded commands = payload (List.map Translation.command commands)
let private read payload = Decoded.entry payload |> ignore

/// One of each, with every flag and every kind of range.
let private oneOfEach: TableCommand list =
    let compares =
        [ Compare(single "k", CompareOperator.Equal, CompareTarget.Exists, ReadOnlyMemory.Empty, 0L)
          compareValue (interval "a" "b") CompareOperator.NotEqual "v"
          compareNumber (from "c") CompareOperator.Greater CompareTarget.Version 1L
          compareNumber (single "d") CompareOperator.Less CompareTarget.CreateRevision -1L
          compareNumber (single "e") CompareOperator.Equal CompareTarget.ModRevision Int64.MaxValue ]

    let success = [ putOp "k" "value"; TxnOp.Put(bytes "l", ReadOnlyMemory.Empty, false) :> TxnOp; deleteOp (interval "m" "n") ]

    let failure =
        [ rangeOp everything
          TxnOp.Range(single "o", 300L, true, false) :> TxnOp
          TxnOp.Range(interval "p" "q", -2L, false, true) :> TxnOp ]

    [ put "key" "value"
      PutCommand(bytes "key", ReadOnlyMemory(Array.create 200 0x76uy), false)
      delete (interval "a" "b")
      DeleteRangeCommand(from "z", true, false)
      DeleteRangeCommand(single "x", false, true)
      txn compares success failure
      DummyCommand() ]

let private withByte index value (payload: ReadOnlyMemory<byte>) =
    let copy = payload.ToArray()
    copy[index] <- value
    ReadOnlyMemory copy

let private roundTrips =
    [ Property.test "an entry gives back the commands that went in, in order" cases commandLists Regatta.Spec.Shrink.script (fun commands ->
          let actual = encoded commands |> Decoded.entry |> List.map Decoded.command
          Expect.equal actual commands "commands")

      Property.test "the measure of a command is what it adds to the entry" cases commandLists Regatta.Spec.Shrink.script (fun commands ->
          let writer = EntryWriter()

          for command in List.map Translation.command commands do
              let before = writer.Bytes
              writer.Append command
              Expect.equal (int64 (writer.Bytes - before)) (EntryWriter.Measure command) $"bytes of {command}"

          Expect.equal writer.Bytes (writer.ToPayload().Length) "bytes of the payload"
          Expect.equal writer.Count commands.Length "commands")

      testCase "an empty payload has no commands" (fun () -> Expect.isEmpty (Decoded.entry ReadOnlyMemory.Empty) "commands")

      testCase "an entry without commands is a header and nothing else" (fun () ->
          let payload = EntryWriter().ToPayload()
          Expect.equal payload.Length EntryWriter.HeaderBytes "bytes"
          Expect.isEmpty (Decoded.entry payload) "commands")

      testCase "a writer that was reset starts a new entry and leaves the finished one alone" (fun () ->
          let writer = EntryWriter()
          writer.Append(put "first" "1")
          let first = writer.ToPayload()
          writer.Reset()
          writer.Append(put "second" "2")
          Expect.equal writer.Count 1 "commands"
          Expect.sequenceEqual (writer.ToPayload().ToArray()) ((payload [ put "second" "2" ]).ToArray()) "the new entry"
          Expect.sequenceEqual (first.ToArray()) ((payload [ put "first" "1" ]).ToArray()) "the first entry")

      testCase "a value that blows the buffer up is written whole, and the next entry is as it would be" (fun () ->
          let writer = EntryWriter()
          let large = Array.init (20 <<< 20) byte
          writer.Append(PutCommand(bytes "k", ReadOnlyMemory large, false))

          match Decoded.entry (writer.ToPayload()) with
          | [ :? PutCommand as put ] -> Expect.isTrue (put.Value.Span.SequenceEqual(ReadOnlySpan large)) "the value"
          | other -> failtestf "%A" other

          writer.Reset()
          Expect.equal writer.Bytes EntryWriter.HeaderBytes "bytes after the reset")

      testCase "keys and values are slices of the payload" (fun () ->
          let payload = payload [ put "key" "value" ]

          match Decoded.entry payload with
          | [ :? PutCommand as put ] ->
              let array (memory: ReadOnlyMemory<byte>) = (MemoryMarshal.TryGetArray memory |> snd).Array
              Expect.isTrue (obj.ReferenceEquals(array put.Key, array payload)) "the key"
              Expect.isTrue (obj.ReferenceEquals(array put.Value, array payload)) "the value"
          | other -> failtestf "%A" other)

      testCase "a compare of a version that we do not know keeps its numbers" (fun () ->
          let strange = Compare(single "k", LanguagePrimitives.EnumOfValue 77uy, LanguagePrimitives.EnumOfValue 99uy, bytes "v", -5L)

          match Decoded.entry (payload [ txn [ strange ] [] [] ]) with
          | [ :? TxnCommand as txn ] ->
              let compare = Seq.exactlyOne txn.Compares
              Expect.equal (byte compare.Operator, byte compare.Target) (77uy, 99uy) "operator and target"
              Expect.equal (text compare.Value, compare.Number) ("v", -5L) "operands"
          | other -> failtestf "%A" other)

      testCase "the format is that of the golden file" (fun () ->
          let golden = Golden.check "entry-v1.bin" (payload oneOfEach)
          Expect.sequenceEqual ((payload (Decoded.entry golden)).ToArray()) (golden.ToArray()) "read and written again") ]

let private refusals =
    // A function, so that a writer that does not work fails tests, not the start of the test program.
    let whole () = payload oneOfEach
    // [format][count, 4 bytes][kind 1][flags][key length]...
    let kind, flags = 5, 6
    let rangeKind = 7

    [ testCase "an entry that is cut off anywhere is refused" (fun () ->
          let payload = whole ()

          for length in 1 .. payload.Length - 1 do
              refuses "Raft entry" (fun () -> read (payload.Slice(0, length))))

      Property.test
          "a garbled entry is refused or read as other commands, nothing else"
          (Scale.pick 3_000 100_000)
          (Gen.map2
              (fun index value -> index, value)
              (Gen.constant () |> Gen.bind (fun () -> Gen.choose (0, whole().Length - 1)))
              (Gen.choose (0, 255)))
          (fun _ -> Seq.empty)
          (fun (index, value) ->
              try
                  read (withByte index (byte value) (whole ()))
              with :? InvalidDataException ->
                  ())

      testCase "bytes behind the last command are refused" (fun () ->
          refuses "left behind the last command" (fun () -> read (ReadOnlyMemory [| yield! whole().ToArray(); 0uy |])))

      testCase "an unknown format is refused" (fun () -> refuses "format 2 is unknown" (fun () -> read (withByte 0 2uy (whole ()))))
      testCase "an unknown kind of command is refused" (fun () ->
          refuses "unknown kind of command 7" (fun () -> read (withByte kind 7uy (whole ())))
          refuses "unknown kind of command 0" (fun () -> read (withByte kind 0uy (whole ()))))
      testCase "unknown flags are refused" (fun () -> refuses "unknown flags 0x03" (fun () -> read (withByte flags 3uy (whole ()))))

      testCase "an unknown kind of range is refused" (fun () ->
          let deletion = payload [ delete (single "k") ]
          refuses "unknown kind of range 3" (fun () -> read (withByte rangeKind 3uy deletion)))

      testCase "an unknown kind of operation is refused" (fun () ->
          let transaction = payload [ txn [] [ putOp "k" "v" ] [] ]
          refuses "unknown kind of operation 9" (fun () -> read (withByte (kind + 3) 9uy transaction)))

      testCase "a count that cannot be true is refused before anything is allocated" (fun () ->
          refuses "4294967295 commands are announced" (fun () -> read (ReadOnlyMemory [| 1uy; 255uy; 255uy; 255uy; 255uy; 4uy |]))
          refuses "items are announced" (fun () -> read (ReadOnlyMemory [| 1uy; 1uy; 0uy; 0uy; 0uy; 3uy; 255uy; 255uy; 3uy; 0uy |])))

      testCase "a length or number that does not fit into 64 bits is refused" (fun () ->
          let ones = Array.create 9 0xffuy
          refuses "too long" (fun () -> read (ReadOnlyMemory [| 1uy; 1uy; 0uy; 0uy; 0uy; 1uy; 0uy; yield! ones; 2uy; 0uy |]))
          refuses "are announced" (fun () -> read (ReadOnlyMemory [| 1uy; 1uy; 0uy; 0uy; 0uy; 1uy; 0uy; yield! ones; 1uy; 0uy |]))) ]

let tests = testList "a Raft entry" (roundTrips @ refusals)
