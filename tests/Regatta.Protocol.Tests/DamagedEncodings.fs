module DamagedEncodings

open System
open System.IO
open Expecto
open Grpc.Core
open Grpc.Net.Compression
open Regatta.Protocol.Compression
open Regatta.Testing
open Encodings

[<NoComparison>]
type private Outcome =
    | Decoded of byte array
    | Refused of Status

/// Anything but an RpcException goes through and fails the test.
let private tryDecode encoding (compressed: byte array) =
    try
        Decoded(decode encoding compressed)
    with :? RpcException as e ->
        Refused e.Status

let private expectRefusedFor (reason: string) what encoding compressed =
    match tryDecode encoding compressed with
    | Refused status ->
        Expect.equal status.StatusCode StatusCode.Internal what
        Expect.stringContains status.Detail $"not valid {(encoding: ICompressionProvider).EncodingName}: " what
        Expect.stringContains status.Detail reason what
    | Decoded message -> failtestf "%s: decoded to %d bytes, seed %d" what message.Length Seed.current

let private expectRefused what encoding compressed = expectRefusedFor "" what encoding compressed

/// Where a snappy stream may end without anybody noticing, with what it holds up to there.
let private chunkEnds (compressed: byte array) =
    Set.ofList
        [ let mutable at = 0

          while at < compressed.Length do
              let length = int compressed[at + 1] ||| (int compressed[at + 2] <<< 8) ||| (int compressed[at + 3] <<< 16)

              at <- at + 4 + length
              at ]

let private samples = [ text 1; text 300; randomBytes 300; Array.zeroCreate 5000; text 150_000 ]

let private truncation (encoding: ICompressionProvider) =
    test $"{encoding.EncodingName}: a message that ends early is refused" {
        for message in samples do
            let compressed = encode encoding message
            let ends = if encoding.EncodingName = "snappy" then chunkEnds compressed else Set.empty
            let step = max 1 (compressed.Length / 500)

            for length in 1..step .. compressed.Length - 1 do
                let cut = compressed[.. length - 1]

                if ends.Contains length then
                    let whole = decode encoding cut
                    Expect.isTrue (message.AsSpan().StartsWith whole) "a snappy stream that ends between chunks"
                else
                    expectRefused $"{length} of {compressed.Length} bytes" encoding cut
    }

/// Bits of a header that say nothing about the content: flipping them must not, and does not, make a difference.
let private isMeaningless (encoding: ICompressionProvider) index bit =
    match encoding.EncodingName with
    | "gzip" -> (index >= 4 && index <= 9) || (index = 3 && bit = 0) // time, extra flags, system; "probably text"
    | "zstd" -> index = 4 && bit = 4 // the unused bit of the frame header descriptor
    | _ -> false

/// Where content repeats itself, a flipped bit may name another place that holds the same: then the message is still right.
let private flips (encoding: ICompressionProvider) =
    test $"{encoding.EncodingName}: a message with a flipped bit is refused, or decoded to just the same" {
        for isNoise, message in [ false, text 300; true, randomBytes 300; false, Array.zeroCreate 5000; false, text 70_000 ] do
            let compressed = encode encoding message
            let step = max 1 (compressed.Length / 400)
            let mutable tried = 0
            let mutable refused = 0

            for index in 0..step .. compressed.Length - 1 do
                for bit in 0..7 do
                    let damaged = Array.copy compressed
                    damaged[index] <- damaged[index] ^^^ (1uy <<< bit)
                    let what = $"bit {bit} of byte {index} of {compressed.Length}, seed {Seed.current}"

                    match tryDecode encoding damaged with
                    | Decoded same -> Expect.isTrue (same = message) what
                    | Refused status ->
                        Expect.equal status.StatusCode StatusCode.Internal what
                        Expect.isFalse (isMeaningless encoding index bit) what
                        refused <- refused + 1

                    if not (isMeaningless encoding index bit) then tried <- tried + 1

            if isNoise then
                // Noise repeats nothing; what remains are the few bits that gzip leaves unused between block and trailer.
                Expect.isGreaterThan (float refused) (0.99 * float tried) $"refused, of {tried}"
            else
                Expect.isGreaterThan refused 0 "refused"
    }

let private noise (encoding: ICompressionProvider) =
    test $"{encoding.EncodingName}: noise, alone or after a right beginning, never gives another message or another failure than a status" {
        let random = Random(Seed.current)

        for round in 1 .. Scale.pick 2_000 100_000 do
            let message = text (random.Next 2000)
            let compressed = encode encoding message
            let kept = random.Next compressed.Length
            let tail = Array.zeroCreate<byte>(1 + random.Next 200)
            random.NextBytes tail

            match tryDecode encoding (Array.append compressed[.. kept - 1] tail) with
            | Refused status -> Expect.equal status.StatusCode StatusCode.Internal $"round {round}, seed {Seed.current}"
            | Decoded decoded -> Expect.isTrue (decoded = message) $"round {round} was decoded, seed {Seed.current}"
    }

/// Counts what is read of a source.
let private consumedWhile (encoding: ICompressionProvider) (compressed: byte array) (wanted: int) =
    use source = new MemoryStream(compressed)
    use stream = encoding.CreateDecompressionStream source
    stream.ReadExactly(Array.zeroCreate wanted, 0, wanted)
    source.Position

let private bombs (encoding: ICompressionProvider) =
    test $"{encoding.EncodingName}: a bomb is decoded only as far as it is read" {
        let compressed = encode encoding (Array.zeroCreate (64 <<< 20))
        let before = GC.GetAllocatedBytesForCurrentThread()
        let consumed = consumedWhile encoding compressed (1 <<< 20)
        let allocated = GC.GetAllocatedBytesForCurrentThread() - before
        Expect.isLessThan allocated (3L <<< 20) "allocated, 1 MiB of it by the test"
        Expect.isLessThan consumed (max 65_536L (int64 compressed.Length / 16L)) "consumed"
    }

let private snappyChunk (kind: byte) (body: byte array) =
    Array.concat
        [ Convert.FromHexString "FF060000734E61507059"
          [| kind; byte body.Length; byte (body.Length >>> 8); byte (body.Length >>> 16) |]
          body ]

let private allocatedWhile action =
    let before = GC.GetAllocatedBytesForCurrentThread()
    action ()
    GC.GetAllocatedBytesForCurrentThread() - before

/// What is wrong, what the refusal says, and the message.
let private snappyForgeries =
    [ "no stream identifier", "does not begin with the stream identifier", Convert.FromHexString "01090000BB1F1C1968656C6C6F"
      "a wrong stream identifier", "the stream identifier is wrong", Convert.FromHexString "FF060000734E61507058"
      "an identifier of another length", "the stream identifier is wrong", Convert.FromHexString "FF050000734E615070"
      "a chunk header of zeros", "length is out of range", snappyChunk 0uy [||]
      "a chunk of a type that must not be skipped", "unknown type 2", snappyChunk 0x02uy [| 1uy; 2uy; 3uy; 4uy |]
      "a chunk of a reserved skippable type", "unknown type 128", snappyChunk 0x80uy [| 1uy; 2uy; 3uy; 4uy |]
      "a plain chunk above 65,536 bytes", "length is out of range", snappyChunk 1uy (Array.zeroCreate (4 + 65_537))
      "a compressed chunk that claims 65,537 bytes",
      "more than 65,536",
      snappyChunk 0uy [| 0uy; 0uy; 0uy; 0uy; 0x81uy; 0x80uy; 0x04uy; 0uy |]
      "a compressed chunk that claims 256 MiB",
      "more than 65,536",
      snappyChunk 0uy [| 0uy; 0uy; 0uy; 0uy; 0xffuy; 0xffuy; 0xffuy; 0x7fuy; 0uy |]
      "a compressed chunk that claims 4 GiB",
      "more than 65,536",
      snappyChunk 0uy [| 0uy; 0uy; 0uy; 0uy; 0xffuy; 0xffuy; 0xffuy; 0xffuy; 0x0fuy; 0uy |]
      "a compressed chunk without content", "Invalid", snappyChunk 0uy [| 0uy; 0uy; 0uy; 0uy |]
      "a copy from before the beginning", "Invalid copy offset", snappyChunk 0uy [| 0uy; 0uy; 0uy; 0uy; 8uy; 0uy; 65uy; 0x15uy; 9uy |] ]

let tests =
    testList
        "damaged messages"
        [ for encoding in MessageEncodings.All do
              truncation encoding
              flips encoding
              noise encoding
              bombs encoding

          test "snappy: what the format forbids is refused, and no memory is taken for what it claims" {
              for name, reason, forged in snappyForgeries do
                  let allocated = allocatedWhile (fun () -> expectRefusedFor reason name snappy forged)
                  Expect.isLessThan allocated 1_000_000L name
          }

          test "gzip: something after the member is refused, a second member too" {
              let member' = encode gzip (text 100)
              expectRefused "garbage" gzip (Array.append member' [| 0uy |])
              expectRefused "second member" gzip (Array.append member' member')
          }

          test "zstd: something after the frame is refused" {
              expectRefused "garbage" zstd (Array.append (encode zstd (text 100)) [| 0uy |])
          }

          test "zstd: a window of 8 MiB is accepted, one of 128 MiB refused, whatever the message's length" {
              // Magic number, descriptor without content size, window descriptor, one last raw block of one byte.
              let frame window = Array.concat [ Convert.FromHexString "28B52FFD00"; [| window |]; Convert.FromHexString "09000061" ]
              Expect.equal (decode zstd (frame (13uy <<< 3))) "a"B "8 MiB"
              expectRefused "16 MiB" zstd (frame (14uy <<< 3))
              expectRefused "128 MiB" zstd (frame (17uy <<< 3))
          } ]
