/// What the log writes today is read for ever.
module Regatta.Raft.Tests.LogFormatTests

open System
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.StoredEntries

let private hex (bytes: byte array) = Convert.ToHexStringLower bytes

let private formats =
    testList
        "stored formats"
        [ testCase "a record of an entry is what version 1 wrote"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L [| 1uy; 2uy; 3uy |]
              Expect.equal (hex record) "23aeb6b6c61c926701000700000000000000010203" "the bytes of an entry's record"

          testCase "a hard state with a vote is what version 1 wrote, and is read back"
          <| fun () ->
              let state = HardState(9L, Nullable(member' 5), 41L, 7L)
              let bytes = state.Encode 10001L

              Expect.equal
                  (hex bytes)
                  "bb25b5c8476eb3da010900000000000000290000000000000007000000000000000105000000000000000000000000000000000000000000000000000000"
                  "the bytes of a hard state"

              let mutable decoded = HardState()
              Expect.isNull (HardState.Decode(ReadOnlySpan bytes, 10001L, &decoded)) "sound"
              Expect.equal decoded state "the same state"

          testCase "a record in another place than its own is refused"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L [| 1uy; 2uy; 3uy |]
              Expect.isNull (LogRecord.Fault(ReadOnlySpan record, 10001L, 42L)) "sound in its place"
              Expect.isNotNull (LogRecord.Fault(ReadOnlySpan record, 10001L, 43L)) "another index"
              Expect.isNotNull (LogRecord.Fault(ReadOnlySpan record, 10002L, 42L)) "another group"

          testCase "every flipped bit of a record and of a hard state is found"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L (payload 1 40)
              let hard = HardState(9L, Nullable(member' 5), 41L, 7L).Encode 10001L

              for bit in 0 .. record.Length * 8 - 1 do
                  let copy = Array.copy record
                  copy[bit / 8] <- copy[bit / 8] ^^^ (1uy <<< bit % 8)
                  Expect.isNotNull (LogRecord.Fault(ReadOnlySpan copy, 10001L, 42L)) $"bit {bit} of the record"

              for bit in 0 .. hard.Length * 8 - 1 do
                  let copy = Array.copy hard
                  copy[bit / 8] <- copy[bit / 8] ^^^ (1uy <<< bit % 8)
                  let mutable decoded = HardState()
                  Expect.isNotNull (HardState.Decode(ReadOnlySpan copy, 10001L, &decoded)) $"bit {bit} of the hard state"

          testCase "a key is what version 1 wrote, and is read back"
          <| fun () ->
              let key = LogKey.Of(10001L, 42L)
              Expect.equal (hex key) "0000000000002711000000000000002a" "group and index, so that they are sorted"
              Expect.equal (LogKey.Group(ReadOnlySpan key), LogKey.Index(ReadOnlySpan key)) (10001L, 42L) "what it says"

          testCase "what is damaged is named"
          <| fun () ->
              let record = sealedRecord 10001L 42L 7L [| 1uy; 2uy; 3uy |]
              let fault (bytes: byte array) = string (LogRecord.Fault(ReadOnlySpan bytes, 10001L, 42L))

              for length in [ 0; 7; 8; 17; record.Length - 1 ] do
                  Expect.equal (fault record[.. length - 1]) "its checksum does not match" $"{length} bytes of a record"

              let short = Array.zeroCreate<byte> 17
              LogRecord.Seal(Span short, 10001L, 42L)
              Expect.equal (fault short) "it is too short" "a sealed record without a whole header"

              let state (bytes: byte array) =
                  let mutable decoded = HardState()
                  string (HardState.Decode(ReadOnlySpan bytes, 10001L, &decoded))

              let hard = HardState(9L, Nullable(member' 5), 41L, 7L).Encode 10001L

              let reseal (bytes: byte array) =
                  BitConverter.TryWriteBytes(Span bytes, LogRecord.Checksum(ReadOnlySpan bytes, 10001L, LogKey.HardState)) |> ignore
                  bytes

              Expect.equal (state hard[..10]) "its checksum does not match" "a hard state that is cut"
              Expect.equal (state (reseal hard[.. hard.Length - 2])) "its length is wrong" "a sealed hard state that is cut"
              let later = Array.copy hard
              later[8] <- 2uy
              Expect.equal (state (reseal later)) "its format 2 is not known to this version" "a hard state of a later format"

          testCase "a hard state without a vote is what version 1 wrote, and is read back"
          <| fun () ->
              let none = HardState(9L, Nullable(), 41L, 7L)
              let bytes = none.Encode 10001L
              Expect.equal (hex bytes[8..]) "0109000000000000002900000000000000070000000000000000" "the bytes behind the checksum"
              let mutable decoded = HardState(1L, Nullable(member' 5), 1L, 1L)
              Expect.isNull (HardState.Decode(ReadOnlySpan bytes, 10001L, &decoded)) "sound"
              Expect.equal decoded none "the same state"

          testCase "an entry of the configuration says so, with and without its checksum"
          <| fun () ->
              for isConfiguration in [ true; false ] do
                  let record = LogRecord.New(7L, isConfiguration, ReadOnlySpan [| 1uy |])
                  Expect.equal (LogRecord.IsConfiguration(ReadOnlySpan record)) isConfiguration "a record"
                  let sent = Array.zeroCreate<byte>(LogRecord.BytesWithoutChecksum 1)
                  LogRecord.WriteWithoutChecksum(Span sent, 7L, isConfiguration, ReadOnlySpan [| 1uy |])
                  Expect.equal sent record[8..] "what is sent is the record without its checksum"
                  Expect.equal (LogRecord.IsConfigurationWithoutChecksum(ReadOnlySpan sent)) isConfiguration "what is sent"
                  Expect.equal (LogRecord.TermWithoutChecksum(ReadOnlySpan sent)) 7L "its term"

          testCase "a record of a later format is refused with its number"
          <| fun () ->
              let record = sealedRecord 1L 1L 1L [||]
              record[8] <- 2uy
              LogRecord.Seal(Span record, 1L, 1L)
              Expect.stringContains (string (LogRecord.Fault(ReadOnlySpan record, 1L, 1L))) "format 2" "says which format" ]

let tests = testList "RaftLogStore" [ formats ]
