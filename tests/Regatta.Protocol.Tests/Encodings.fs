module Encodings

open System
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open Grpc.Net.Compression
open Regatta.Protocol.Compression
open Regatta.Testing

let gzip, snappy, zstd = MessageEncodings.Gzip, MessageEncodings.Snappy, MessageEncodings.Zstd

let encodeAt (level: Nullable<CompressionLevel>) (encoding: ICompressionProvider) (message: byte array) =
    use target = new MemoryStream()

    using (encoding.CreateCompressionStream(target, level)) (fun stream -> stream.Write(message, 0, message.Length))
    target.ToArray()

let encode encoding message = encodeAt (Nullable()) encoding message

let decodeStream (encoding: ICompressionProvider) (compressed: Stream) =
    use stream = encoding.CreateDecompressionStream compressed
    use target = new MemoryStream()
    stream.CopyTo target
    target.ToArray()

let decode encoding (compressed: byte array) = decodeStream encoding (new MemoryStream(compressed))

let randomBytes (length: int) =
    let bytes = Array.zeroCreate<byte> length
    Random(Seed.current + length).NextBytes bytes
    bytes

/// Text that compresses, and differs all along, so that lost or repeated pieces show.
let text (length: int) =
    let builder = StringBuilder()

    while builder.Length < length do
        builder.Append("record ").Append(builder.Length).Append(" of a package list; ") |> ignore

    Encoding.ASCII.GetBytes(builder.ToString(0, length))

/// Gives one byte at a time, as a source may.
type private Dripping(source: Stream) =
    inherit Stream()
    override _.CanRead = true
    override _.CanSeek = false
    override _.CanWrite = false
    override _.Length = raise (NotSupportedException())

    override _.Position
        with get () = raise (NotSupportedException())
        and set _ = raise (NotSupportedException())

    override _.Flush() = raise (NotSupportedException())
    override _.Seek(_, _) = raise (NotSupportedException())
    override _.SetLength _ = raise (NotSupportedException())
    override _.Write(_: byte array, _: int, _: int) : unit = raise (NotSupportedException())
    override _.Read(buffer: byte array, offset, count) = source.Read(buffer, offset, min 1 count)

let private lengths = [ 0; 1; 2; 100; 65_535; 65_536; 65_537; 200_000; 1 <<< 20 ]

let private mine =
    [ for encoding in MessageEncodings.All ->
          testList
              encoding.EncodingName
              [ test "messages of many lengths come back as they were" {
                    for length in lengths do
                        for message in [ randomBytes length; text length; Array.zeroCreate length ] do
                            Expect.isTrue (decode encoding (encode encoding message) = message) $"{length} bytes, seed {Seed.current}"
                }

                test "4 MiB of noise come back as they were and grow by less than a tenth" {
                    let message = randomBytes (4 <<< 20)
                    let compressed = encode encoding message
                    Expect.isTrue (decode encoding compressed = message) $"seed {Seed.current}"
                    Expect.isLessThan (compressed.Length - message.Length) (message.Length / 10) "growth"
                }

                test "text gets smaller" { Expect.isLessThan (encode encoding (text 100_000)).Length 50_000 "compressed length" }

                test "an empty message has a body that every decoder takes for an empty message" {
                    Expect.isNonEmpty (encode encoding [||]) "body"
                    Expect.isEmpty (decode encoding (encode encoding [||])) "decoded"
                }

                test "an encoder that is never written to gives an empty message too" {
                    use target = new MemoryStream()
                    encoding.CreateCompressionStream(target, Nullable()).Dispose()
                    Expect.equal (target.ToArray()) (encode encoding [||]) "body"
                }

                test "no body at all is an empty message" { Expect.isEmpty (decode encoding [||]) "decoded" }

                test "a message may be written in many pieces" {
                    let message = text 300_000
                    use target = new MemoryStream()

                    using (encoding.CreateCompressionStream(target, Nullable())) (fun stream ->
                        for piece in Array.chunkBySize 777 message do
                            stream.Write(piece, 0, piece.Length)
                            stream.Flush())

                    Expect.isTrue (decode encoding (target.ToArray()) = message) "decoded"
                }

                test "a source that gives one byte at a time makes no difference" {
                    let message = text 150_000
                    let compressed = new Dripping(new MemoryStream(encode encoding message))
                    Expect.isTrue (decodeStream encoding compressed = message) "decoded"
                }

                test "every compression level is understood" {
                    for level in Enum.GetValues<CompressionLevel>() do
                        let message = text 70_000
                        let compressed = encodeAt (Nullable level) encoding message
                        Expect.isTrue (decode encoding compressed = message) $"{level}"
                }

                test "neither direction closes the stream that it was given" {
                    use target = new MemoryStream()
                    encoding.CreateCompressionStream(target, Nullable()).Dispose()
                    Expect.isTrue target.CanWrite "target"
                    target.Position <- 0L
                    encoding.CreateDecompressionStream(target).Dispose()
                    Expect.isTrue target.CanRead "source"
                } ] ]

let private identifier = Convert.FromHexString "FF060000734E61507059"

let tests =
    testList
        "message encodings"
        [ yield! mine

          test "they are called as gRPC peers call them" {
              let names = set [ for encoding in MessageEncodings.All -> encoding.EncodingName ]
              Expect.equal names (set [ "gzip"; "snappy"; "zstd" ]) "names"
          }

          test "a snappy message begins with the stream identifier" {
              for length in lengths do
                  Expect.sequenceEqual ((encode snappy (text length))[..9]) identifier $"{length} bytes"
          }

          test "a snappy message written by hand is understood: plain chunk, compressed chunk, padding, second identifier" {
              // "hello" with its masked CRC-32C, as in the first bytes of the format's own description; the compressed chunk is one literal.
              let plain = Convert.FromHexString "01090000BB1F1C1968656C6C6F"
              let compressed = Convert.FromHexString "000B0000BB1F1C19051068656C6C6F"
              let padding = Convert.FromHexString "FE030000000000"
              let message = Array.concat [ identifier; plain; padding; identifier; compressed ]
              Expect.equal (Encoding.ASCII.GetString(decode snappy message)) "hellohello" "decoded"
          }

          test "a gzip message can be read by the library's own stream, and the other way round" {
              let message = text 100_000
              use theirs = new GZipStream(new MemoryStream(encode gzip message), CompressionMode.Decompress)
              use read = new MemoryStream()
              theirs.CopyTo read
              Expect.isTrue (read.ToArray() = message) "read by GZipStream"
              let written = new MemoryStream()
              using (new GZipStream(written, CompressionLevel.Optimal, true)) (fun stream -> stream.Write(message, 0, message.Length))
              Expect.isTrue (decode gzip (written.ToArray()) = message) "written by GZipStream"
          }

          test "a zstd message in several frames, as streaming encoders may write it, is one message" {
              let frames = Array.concat [ encode zstd (text 1000); encode zstd [||]; encode zstd (randomBytes 10) ]
              Expect.equal (decode zstd frames) (Array.append (text 1000) (randomBytes 10)) "decoded"
          } ]
