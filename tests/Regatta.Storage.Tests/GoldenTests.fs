/// Every stored format, byte for byte. A change here is a change of format: it needs a new format number and a reader for the old one.
module Regatta.Storage.Tests.GoldenTests

open System
open System.Collections.Immutable
open System.IO
open System.Text
open Expecto
open Regatta.Core
open Regatta.Storage
open Regatta.Storage.Formats
open Regatta.Storage.Tests

/// The files lie beside this source; REGATTA_GOLDEN=rewrite writes them anew, for a deliberate change.
let private file name = Path.Combine(__SOURCE_DIRECTORY__, "golden", name)

let private hex (bytes: byte array) =
    bytes |> Array.chunkBySize 16 |> Array.map Convert.ToHexStringLower |> String.concat "\n" |> fun text -> text + "\n"

let private isGolden name (actual: string) =
    if Environment.GetEnvironmentVariable "REGATTA_GOLDEN" = "rewrite" then
        Directory.CreateDirectory(Path.Combine(__SOURCE_DIRECTORY__, "golden")) |> ignore
        File.WriteAllText(file name, actual)

    Expect.equal actual (File.ReadAllText(file name)) name

let private golden name bytes = isGolden (name + ".hex") (hex bytes)
let private ofGolden name = File.ReadAllLines(file (name + ".hex")) |> String.concat "" |> Convert.FromHexString
let private key = "package/zlib1g"B
let private header = RecordHeader(0x0102030405060708L, 0x1112131415161718L, 0x2122232425262728L)
let private value = "the value"B

let private state =
    AppliedState(0x3132333435363738L, 0x4142434445464748L, 0x5152535455565758L, Store.incarnation, ChainHash(UInt128(0x61UL, 0x62UL)))

/// The format's own damage detection: no other bytes of the same length pass for it.
let private refusesEveryFlip (bytes: byte array) decodes =
    for at in 0 .. bytes.Length * 8 - 1 do
        let damaged = Array.copy bytes
        damaged[at / 8] <- damaged[at / 8] ^^^ (1uy <<< at % 8)
        Expect.isFalse (decodes damaged) $"bit {at} flipped"

    for length in 0 .. bytes.Length - 1 do
        Expect.isFalse (decodes bytes[.. length - 1]) $"cut to {length} bytes"

let private throwsCorruption body =
    try
        body ()
        true
    with :? StorageCorruptionException ->
        false

let private valueDecodes (key: byte array) (record: byte array) =
    throwsCorruption (fun () ->
        let mutable found = ReadOnlySpan.Empty
        ValueRecord.Decode(ReadOnlySpan record, ReadOnlySpan key, "directory", &found) |> ignore)

let private changelogDecodes (key: byte array) (record: byte array) =
    throwsCorruption (fun () -> ChangelogRecord.Decode(ReadOnlySpan record, ReadOnlySpan key, "directory").Length |> ignore)

let private changelogKey =
    let bytes = Array.zeroCreate ChangelogRecord.KeyBytes
    ChangelogRecord.EncodeKey(Span bytes, 0x0102030405060708L, 0x090a0b0c)
    bytes

let private encoded length encode =
    let bytes = Array.zeroCreate length
    encode bytes
    bytes

let private identity =
    NodeIdentity(
        NodeRole.Leader,
        3L,
        Guid "6f0e9d5c-3a41-4c5e-9a1b-2f7d8c3b4a59",
        Guid "0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9",
        NodeStanding.Recovering,
        ImmutableArray.Create(Guid "11111111-4e5f-4061-8293-a4b5c6d7e8f9", Guid "22222222-4e5f-4061-8293-a4b5c6d7e8f9")
    )

let tests =
    testList
        "stored formats"
        [ testCase "a value" (fun () ->
              let bytes =
                  encoded (ValueRecord.HeaderBytes + value.Length) (fun bytes ->
                      let header = header
                      ValueRecord.Encode(Span bytes, ReadOnlySpan key, &header, ReadOnlySpan value))

              golden "value" bytes
              let mutable found = ReadOnlySpan.Empty
              Expect.equal (ValueRecord.Decode(ReadOnlySpan(ofGolden "value"), ReadOnlySpan key, "", &found)) header "header"
              Expect.equal (found.ToArray()) value "value"
              refusesEveryFlip bytes (valueDecodes key)
              Expect.isFalse (valueDecodes "package/zlib1h"B bytes) "a value under another key")

          testCase "an applied state" (fun () ->
              let bytes = encoded AppliedRecord.Bytes (fun bytes -> let state = state in AppliedRecord.Encode(Span bytes, &state))
              golden "applied" bytes

              let decode (bytes: byte array) =
                  let mutable found = AppliedState() in AppliedRecord.TryDecode(ReadOnlySpan bytes, &found), found

              Expect.equal (decode (ofGolden "applied")) (true, state) "state"
              refusesEveryFlip bytes (decode >> fst))

          testCase "a changelog key, in numeric order" (fun () ->
              golden "changelog-key" changelogKey

              Expect.equal
                  (ChangelogRecord.DecodeKey(ReadOnlySpan(ofGolden "changelog-key"), ""))
                  (struct (0x0102030405060708L, 0x090a0b0c))
                  "key"

              let positions =
                  [ for revision in [ 1L; 2L; 255L; 256L; 65536L; Int64.MaxValue ] do
                        for part in [ 0; 1; 255; 256; Int32.MaxValue ] -> revision, part ]

              let keys =
                  positions
                  |> List.map (fun (revision, part) ->
                      encoded ChangelogRecord.KeyBytes (fun bytes -> ChangelogRecord.EncodeKey(Span bytes, revision, part)))

              for first, second in List.pairwise keys do
                  Expect.isLessThan (first.AsSpan().SequenceCompareTo(ReadOnlySpan second)) 0 "bytewise order")

          testCase "a changelog record" (fun () ->
              let bytes =
                  encoded (ChangelogRecord.HeaderBytes + value.Length) (fun bytes ->
                      ChangelogRecord.Encode(Span bytes, ReadOnlySpan changelogKey, ReadOnlySpan value))

              golden "changelog-record" bytes
              let record = ChangelogRecord.Decode(ReadOnlySpan(ofGolden "changelog-record"), ReadOnlySpan changelogKey, "")
              Expect.equal (record.ToArray()) value "record"
              refusesEveryFlip bytes (changelogDecodes changelogKey))

          testCase "the changelog's floor" (fun () ->
              let bytes = encoded MetaRecord.FloorBytes (fun bytes -> MetaRecord.EncodeFloor(Span bytes, 0x0102030405060708L))
              golden "changelog-floor" bytes
              Expect.equal (MetaRecord.DecodeFloor(ReadOnlySpan(ofGolden "changelog-floor"), "")) 0x0102030405060708L "floor"
              let decodes (bytes: byte array) = throwsCorruption (fun () -> MetaRecord.DecodeFloor(ReadOnlySpan bytes, "") |> ignore)
              refusesEveryFlip bytes decodes)

          testCase "a changelog mark" (fun () ->
              let mark = ChangelogMark(0x0102030405060708L, 0x1112131415161718L, 0x2122232425262728L)
              let key = encoded MetaRecord.MarkKeyBytes (fun bytes -> MetaRecord.EncodeMarkKey(Span bytes, mark.Revision))

              let bytes =
                  encoded MetaRecord.MarkBytes (fun bytes -> let mark = mark in MetaRecord.EncodeMark(Span bytes, ReadOnlySpan key, &mark))

              golden "changelog-mark-key" key
              golden "changelog-mark" bytes
              let decode (key: byte array) (bytes: byte array) = MetaRecord.DecodeMark(ReadOnlySpan key, ReadOnlySpan bytes, "")
              Expect.equal (decode (ofGolden "changelog-mark-key") (ofGolden "changelog-mark")) mark "mark"
              refusesEveryFlip bytes (fun bytes -> throwsCorruption (fun () -> decode key bytes |> ignore))
              refusesEveryFlip key (fun key -> throwsCorruption (fun () -> decode key bytes |> ignore)))

          testCase "a node's identity" (fun () ->
              let bytes = NodeIdentityFile.Encode identity
              isGolden "node-v2.json" (Encoding.UTF8.GetString bytes)
              let decode (bytes: byte array) = NodeIdentityFile.Decode("node.json", ReadOnlyMemory bytes)
              Expect.equal (decode (File.ReadAllBytes(file "node-v2.json"))) identity "identity"

              let first =
                  NodeIdentity(identity.Role, identity.NodeId, identity.History, identity.Store, NodeStanding.Member, ImmutableArray.Empty)

              Expect.equal (decode (File.ReadAllBytes(file "node.json"))) first "format 1: a member"

              // White space may change; nothing that is said may.
              for at in 0 .. bytes.Length * 8 - 1 do
                  let damaged = Array.copy bytes
                  damaged[at / 8] <- damaged[at / 8] ^^^ (1uy <<< at % 8)

                  try
                      Expect.equal (decode damaged) identity $"bit {at} flipped"
                  with :? StorageException ->
                      ()) ]
