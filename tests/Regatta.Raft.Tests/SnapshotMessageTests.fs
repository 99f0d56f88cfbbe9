/// What travels when a node pulls a snapshot, byte by byte.
module Regatta.Raft.Tests.SnapshotMessageTests

open System
open System.IO
open Expecto
open Regatta.Core
open Regatta.Raft

let private id = Guid.Parse "00112233-4455-6677-8899-aabbccddeeff"
let private idHex = "00112233445566778899AABBCCDDEEFF"

let private applied =
    AppliedState(
        0x0102L,
        3L,
        0x0405L,
        Incarnation(Guid.Parse "6c1f7a52-39a5-4b7e-9d5c-0d2b8d3f9a11", 7L),
        ChainHash(UInt128(0x1122334455667788UL, 0x99AABBCCDDEEFF00UL))
    )

let private file name bytes = SnapshotFile(name, bytes, UInt128(1UL, 2UL))
let private manifest files = SnapshotManifest(id, applied, 4L, ResizeArray<SnapshotFile>(List.toSeq files))
let private ready files = SnapshotOpenReply(SnapshotOpenStatus.Ready, manifest files).Encode()
let private hex (bytes: byte array) = Convert.ToHexString bytes

let private readyHex =
    String.concat
        ""
        [ "01" // format
          "01" // ready
          idHex
          "0201000000000000" // index
          "0300000000000000" // term
          "0504000000000000" // revision
          "6C1F7A5239A54B7E9D5C0D2B8D3F9A11" // history
          "0700000000000000" // incarnation
          "00FFEEDDCCBBAA998877665544332211" // chain
          "0400000000000000" // leader's term
          "02000000" // files
          "07"
          "43555252454E54" // CURRENT
          "1000000000000000"
          "02000000000000000100000000000000"
          "0A"
          "3030303031322E737374" // 000012.sst
          "0000010000000000"
          "02000000000000000100000000000000" ]

let private data =
    let message = SnapshotReadReply.New 3
    (ReadOnlySpan [| 1uy; 2uy; 3uy |]).CopyTo((SnapshotReadReply.Bytes message).Span)
    SnapshotReadReply.Seal message
    message

/// Every message, with what takes it apart.
let private messages: (string * byte array * (byte array -> unit)) list =
    [ "open", SnapshotOpenRequest(258L, 772L).Encode(), (fun bytes -> SnapshotOpenRequest.Decode(ReadOnlySpan bytes) |> ignore)
      "opened",
      ready [ file "CURRENT" 16L; file "000012.sst" 65536L ],
      (fun bytes -> SnapshotOpenReply.Decode(ReadOnlySpan bytes) |> ignore)
      "busy",
      SnapshotOpenReply(SnapshotOpenStatus.Busy, null).Encode(),
      (fun bytes -> SnapshotOpenReply.Decode(ReadOnlySpan bytes) |> ignore)
      "read", SnapshotReadRequest(id, 2, 258L, 4096).Encode(), (fun bytes -> SnapshotReadRequest.Decode(ReadOnlySpan bytes) |> ignore)
      "data", data, (fun bytes -> SnapshotReadReply.Decode(ReadOnlyMemory bytes, 3) |> ignore)
      "gone", SnapshotReadReply.Gone, (fun bytes -> SnapshotReadReply.Decode(ReadOnlyMemory bytes, 3) |> ignore)
      "close", SnapshotCloseRequest(id).Encode(), (fun bytes -> SnapshotCloseRequest.Decode(ReadOnlySpan bytes) |> ignore)
      "closed", SnapshotCloseRequest.Reply, (fun bytes -> SnapshotCloseRequest.DecodeReply(ReadOnlySpan bytes)) ]

let private golden =
    Map.ofList
        [ "open", "0102010000000000000403000000000000"
          "opened", readyHex
          "busy", "0102"
          "read", $"01{idHex}02000000020100000000000000100000"
          "data", "0101" + "3B73AE32769BCEEB" + "010203"
          "gone", "0102"
          "close", $"01{idHex}"
          "closed", "01" ]

let private refused what (body: unit -> unit) =
    let cause =
        try
            body ()
            failtest $"{what} was taken"
        with
        | :? InvalidDataException as e -> e.Message
        | e -> failtest $"{what}: {e.GetType().Name} {e.Message}"

    Expect.stringContains cause "malformed" what
    Expect.isTrue (cause.EndsWith '.') $"a sentence: {cause}"

let tests =
    testList
        "snapshot messages"
        [ testCase "are these bytes"
          <| fun () ->
              for name, message, _ in messages do
                  Expect.equal (hex message) (Map.find name golden) name

          testCase "come out as they went in"
          <| fun () ->
              let reply = SnapshotOpenReply.Decode(ReadOnlySpan(ready [ file "CURRENT" 16L; file "000012.sst" 65536L ]))
              Expect.equal reply.Status SnapshotOpenStatus.Ready "status"
              let found = nonNull reply.Manifest
              Expect.equal (found.Id, found.Applied, found.LeaderTerm) (id, applied, 4L) "head"
              Expect.sequenceEqual found.Files [ file "CURRENT" 16L; file "000012.sst" 65536L ] "files"
              let read = SnapshotReadRequest(id, 2, 258L, 4096)
              Expect.equal (SnapshotReadRequest.Decode(ReadOnlySpan(read.Encode()))) read "read"

              Expect.equal
                  (SnapshotOpenRequest.Decode(ReadOnlySpan(SnapshotOpenRequest(9L, 7L).Encode())))
                  (SnapshotOpenRequest(9L, 7L))
                  "open"

              Expect.equal (SnapshotCloseRequest.Decode(ReadOnlySpan(SnapshotCloseRequest(id).Encode()))) (SnapshotCloseRequest id) "close"
              let bytes = SnapshotReadReply.Decode(ReadOnlyMemory data, 3)
              Expect.equal (bytes.Value.ToArray()) [| 1uy; 2uy; 3uy |] "data"
              Expect.isFalse (SnapshotReadReply.Decode(ReadOnlyMemory SnapshotReadReply.Gone, 3).HasValue) "gone"

          testCase "that are cut short, too long or of another format are refused with a sentence"
          <| fun () ->
              for name, message, decode in messages do
                  for length in 0 .. message.Length - 1 do
                      refused $"{name} of {length} bytes" (fun () -> decode message[.. length - 1])

                  refused $"{name} and a byte" (fun () -> decode (Array.append message [| 0uy |]))
                  refused $"{name} of format 2" (fun () -> decode (Array.append [| 2uy |] message[1..]))

          testCase "with values that cannot be are refused"
          <| fun () ->
              let opened files = fun () -> SnapshotOpenReply.Decode(ReadOnlySpan(ready files)) |> ignore

              for name in [ ""; "."; ".."; "../x"; "a/b"; "a\\b"; "/etc/passwd"; ".hidden"; "a b"; "a\000b"; "é"; String('a', 101) ] do
                  refused $"the name '{name}'" (opened [ file name 1L ])

              refused "a file twice" (opened [ file "a" 1L; file "a" 2L ])
              refused "no files" (opened [])
              refused "a negative length" (opened [ file "a" -1L ])
              refused "a length beyond all numbers" (opened [ file "a" Int64.MaxValue; file "b" 1L ])

              refused "an old leader" (fun () ->
                  let old = SnapshotManifest(id, applied, 2L, ResizeArray [ file "a" 1L ])
                  SnapshotOpenReply.Decode(ReadOnlySpan(SnapshotOpenReply(SnapshotOpenStatus.Ready, old).Encode())) |> ignore)

              refused "another status" (fun () -> SnapshotOpenReply.Decode(ReadOnlySpan [| 1uy; 9uy |]) |> ignore)
              refused "a negative index" (fun () -> SnapshotOpenRequest.Decode(ReadOnlySpan(SnapshotOpenRequest(-1L).Encode())) |> ignore)

              refused "a negative revision" (fun () ->
                  SnapshotOpenRequest.Decode(ReadOnlySpan(SnapshotOpenRequest(0L, -1L).Encode())) |> ignore)

              for request in
                  [ SnapshotReadRequest(id, -1, 0L, 1)
                    SnapshotReadRequest(id, 0, -1L, 1)
                    SnapshotReadRequest(id, 0, 0L, 0)
                    SnapshotReadRequest(id, 0, 0L, -5)
                    SnapshotReadRequest(id, 0, 0L, (1 <<< 20) + 1) ] do
                  refused (string request) (fun () -> SnapshotReadRequest.Decode(ReadOnlySpan(request.Encode())) |> ignore)

          testCase "with a flipped bit in the data are refused"
          <| fun () ->
              for bit in 16 .. data.Length * 8 - 1 do
                  let other = Array.copy data
                  other[bit / 8] <- other[bit / 8] ^^^ (1uy <<< (bit % 8))
                  refused $"bit {bit}" (fun () -> SnapshotReadReply.Decode(ReadOnlyMemory other, 3) |> ignore) ]
