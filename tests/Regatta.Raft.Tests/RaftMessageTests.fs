/// What nodes of one version say, nodes of the next one must understand.
module Regatta.Raft.Tests.RaftMessageTests

open System
open System.IO
open DotNext.Net.Cluster.Consensus.Raft
open Expecto
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Testing

let private saying (what: string) (work: unit -> unit) =
    try
        work ()
        failtest $"it is read, and should be refused: {what}"
    with :? InvalidDataException as e ->
        Expect.stringContains e.Message what "why"
        Expect.stringStarts e.Message "A message between nodes is malformed: " "what it is about"

let private hex (bytes: byte array) = Convert.ToHexStringLower bytes
let private memory (bytes: byte array) = ReadOnlyMemory bytes
let private entries = [| Entry(6L, [| 1uy; 2uy; 3uy |]); Entry(7L, [||]) |]
// Made anew for each test: what is made once per process a mutant of tests/mutants does not reach.
let private append () = RaftMessages.EncodeAppend<Entry, Entry array>(7L, entries, 41L, 5L, 40L)

let private vote = VoteRequest(7L, 42L, 6L, true)
let private notice = SnapshotNotice(7L, 42L, 6L)
let private refusal = AppendReply(7L, HeartbeatResult.Rejected, 42L)

/// One message of each kind: its bytes, those of version 1, and whether they are read as what was said.
let private kinds: (string * (unit -> byte array) * string * (byte array -> bool)) list =
    [ "a question for a vote",
      (fun () ->
          let said = vote
          RaftMessages.Encode &said),
      "01" + "0700000000000000" + "2a00000000000000" + "0600000000000000" + "0100000000000000",
      (fun bytes -> RaftMessages.DecodeVote(memory bytes) = vote)
      "a snapshot's notice",
      (fun () ->
          let said = notice
          RaftMessages.Encode &said),
      "01" + "0700000000000000" + "2a00000000000000" + "0600000000000000",
      (fun bytes -> RaftMessages.DecodeSnapshot(memory bytes) = notice)
      "an answer to entries",
      (fun () ->
          let said = refusal
          RaftMessages.Encode &said),
      "01" + "0700000000000000" + "0000000000000000" + "2a00000000000000",
      (fun bytes -> RaftMessages.DecodeAppendReply(memory bytes) = refusal)
      "an answer to a question for a vote",
      (fun () -> RaftMessages.EncodeVoteReply(7L, 1L)),
      "01" + "0700000000000000" + "0100000000000000",
      (fun bytes -> RaftMessages.DecodeVoteReply(memory bytes) = struct (7L, 1L))
      "a number",
      (fun () -> RaftMessages.Numbers(ReadOnlySpan [| -1L |])),
      "01ffffffffffffffff",
      (fun bytes -> RaftMessages.DecodeNumber(memory bytes) = -1L) ]

let private read =
    [ for name, message, bytes, isReadAsSaid in kinds do
          testCase $"{name} is what version 1 says, and is read" (fun () ->
              Expect.equal (hex (message ())) bytes "its bytes"
              Expect.isTrue (isReadAsSaid (message ())) "what it says")

          testCase $"{name} that is longer, shorter or of another format is refused" (fun () ->
              let message = message ()

              for wrong in
                  [ Array.append message [| 0uy |]
                    Array.append message (Array.zeroCreate 8)
                    Array.truncate (message.Length - 1) message
                    [||]
                    Array.append [| 2uy |] message[1..] ] do
                  Expect.throwsT<InvalidDataException> (fun () -> isReadAsSaid wrong |> ignore) (hex wrong)) ]

let private outcomes =
    [ testCase "an outcome that no version 1 knows is refused" (fun () ->
          for result in [ -1L; 4L; 255L; 256L; Int64.MaxValue ] do
              if
                  not (
                      result <= 255L && result >= 0L && Enum.IsDefined(LanguagePrimitives.EnumOfValue<byte, HeartbeatResult>(byte result))
                  )
              then
                  let message = RaftMessages.Numbers(ReadOnlySpan [| 7L; result; 42L |])

                  Expect.throwsT<InvalidDataException>
                      (fun () -> RaftMessages.DecodeAppendReply(memory message) |> ignore)
                      $"result {result}")
      testCase "a failure goes with its sentence, and success with its bytes" (fun () ->
          let failure = RaftMessages.EncodeOutcome(GroupFailure.Cancelled, "the disk is full ☹", ReadOnlySpan.Empty)
          let struct (kind, reason, answer) = RaftMessages.DecodeOutcome(memory failure)
          Expect.equal (kind, reason, answer.Length) (GroupFailure.Cancelled, "the disk is full ☹", 0) "the failure"
          let success = RaftMessages.EncodeOutcome(GroupFailure.None, "not said", ReadOnlySpan [| 1uy; 2uy |])
          let struct (kind, reason, answer) = RaftMessages.DecodeOutcome(memory success)
          Expect.equal (kind, reason, answer.ToArray()) (GroupFailure.None, null, [| 1uy; 2uy |]) "the success"
          let unnamed = RaftMessages.EncodeOutcome(GroupFailure.Cancelled, null, ReadOnlySpan.Empty)
          Expect.equal unnamed [| byte GroupFailure.Cancelled |] "a failure without a sentence")
      testCase "a failure that no version 1 knows is refused, and so is nothing" (fun () ->
          for wrong in [ [||]; [| byte GroupFailure.Cancelled + 1uy |]; [| 255uy |] ] do
              Expect.throwsT<InvalidDataException> (fun () -> RaftMessages.DecodeOutcome(memory wrong) |> ignore) (hex wrong)) ]

let private rows =
    [ testCase "numbers are read in rows" (fun () ->
          let message = RaftMessages.Numbers(ReadOnlySpan [| 1L; 2L; 3L; 4L; 5L; 6L |])
          Expect.equal (RaftMessages.DecodeNumbers(memory message)) [| 1L; 2L; 3L; 4L; 5L; 6L |] "all"
          Expect.equal (List.ofSeq (RaftMessages.DecodeRows(memory message, 3))) [ [| 1L; 2L; 3L |]; [| 4L; 5L; 6L |] ] "by threes"
          Expect.isEmpty (RaftMessages.DecodeRows(memory (RaftMessages.Numbers ReadOnlySpan.Empty), 3)) "none"
          Expect.throwsT<InvalidDataException> (fun () -> RaftMessages.DecodeRows(memory message, 4) |> ignore) "by fours"

          Expect.throwsT<InvalidDataException>
              (fun () -> RaftMessages.DecodeNumbers(memory message[.. message.Length - 2]) |> ignore)
              "cut") ]

/// Entries whose second one has other bytes at some place.
let private changed at (value: byte) =
    let copy = Array.copy (append ())
    copy[at] <- value
    copy

let private log =
    [ testCase "each kind of damage is named" (fun () ->
          let decode (bytes: byte array) () = RaftMessages.DecodeAppend(memory bytes) |> ignore
          saying "it is too short" (decode (Array.truncate 40 (append ())))
          saying "3 entries are announced in" (decode (changed 33 3uy))
          saying "an entry is cut off" (decode (Array.truncate ((append ()).Length - 1) (append ())))

          // Long enough for two entries; the first one claims fewer bytes than any has.
          let tooShort = Array.concat [ Array.truncate 41 (append ()); [| 9uy; 0uy; 0uy; 0uy; 1uy |]; Array.zeroCreate 23 ]
          saying "an entry is cut off" (decode tooShort)
          saying "2 bytes are left behind the last entry" (decode (Array.append (append ()) [| 0uy; 0uy |]))
          saying "an entry has an unknown format" (decode (changed 45 2uy))
          saying "format 2 is unknown; a newer version may have sent it" (decode (changed 0 2uy))
          saying "it has 10 bytes" (fun () -> RaftMessages.DecodeNumber(memory (Array.append [| 1uy |] (Array.zeroCreate 9))) |> ignore)
          saying "it has 10 bytes" (fun () -> RaftMessages.DecodeNumbers(memory (Array.append [| 1uy |] (Array.zeroCreate 9))) |> ignore)

          saying "it has 3 numbers, in rows of 2" (fun () ->
              RaftMessages.DecodeRows(memory (RaftMessages.Numbers(ReadOnlySpan [| 1L; 2L; 3L |])), 2) |> ignore)

          saying "it names no known outcome" (fun () -> RaftMessages.DecodeOutcome(memory [||]) |> ignore)

          saying "result 256 is unknown" (fun () ->
              RaftMessages.DecodeAppendReply(memory (RaftMessages.Numbers(ReadOnlySpan [| 7L; 256L; 42L |]))) |> ignore))
      testCase "a question that no leader has asked for says so" (fun () ->
          let own = VoteRequest(7L, 42L, 6L, false)
          let bytes = RaftMessages.Encode &own
          Expect.equal (hex bytes[25..]) "0000000000000000" "its last number"
          Expect.equal (RaftMessages.DecodeVote(memory bytes)) own "what it says")
      testCase "entries may be none" (fun () ->
          let none = RaftMessages.EncodeAppend<Entry, Entry array>(7L, [||], 41L, 5L, 40L)
          Expect.isEmpty (RaftMessages.DecodeAppend(memory none)).Entries "its entries")
      testCase "entries are what version 1 says, and are read" (fun () ->
          Expect.equal
              (hex (append ()))
              ("01"
               + "0700000000000000"
               + "2900000000000000"
               + "0500000000000000"
               + "2800000000000000"
               + "0200000000000000"
               + "0d000000"
               + "0100"
               + "0600000000000000"
               + "010203"
               + "0a000000"
               + "0100"
               + "0700000000000000")
              "its bytes"

          let found = RaftMessages.DecodeAppend(memory (append ()))
          Expect.equal (found.Term, found.PreviousIndex, found.PreviousTerm, found.Commit) (7L, 41L, 5L, 40L) "what it says"

          Expect.equal
              [ for entry in found.Entries -> entry.Term, entry.IsConfiguration, entry.Payload.ToArray() ]
              [ 6L, false, [| 1uy; 2uy; 3uy |]; 7L, false, [||] ]
              "its entries")
      testCase "entries that are cut off anywhere, or have something behind them, are refused" (fun () ->
          for length in 0 .. (append ()).Length - 1 do
              Expect.throwsT<InvalidDataException>
                  (fun () -> RaftMessages.DecodeAppend(memory (Array.truncate length (append ()))) |> ignore)
                  $"{length} bytes"

          Expect.throwsT<InvalidDataException>
              (fun () -> RaftMessages.DecodeAppend(memory (Array.append (append ()) [| 0uy |])) |> ignore)
              "one byte more")
      testCase "any byte may be another one: it is read, or refused as malformed" (fun () ->
          let random = Random Seed.current

          for _ in 1 .. Scale.pick 20_000 1_000_000 do
              let copy = Array.copy (append ())

              for _ in 0 .. random.Next 3 do
                  copy[random.Next copy.Length] <- byte (random.Next 256)

              try
                  RaftMessages.DecodeAppend(memory copy) |> ignore
              with :? InvalidDataException ->
                  ()) ]

let tests = testList "messages between members" (read @ outcomes @ rows @ log)
