/// The encodings in a real server and a real client, on a loopback port: what the gRPC library does with them, and that its limits
/// count decoded bytes.
module EncodingsOverGrpc

open System
open System.Buffers.Binary
open System.IO
open System.Net
open System.Net.Http
open System.Net.Http.Headers
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Grpc.Net.Client
open Grpc.Net.Compression
open Microsoft.AspNetCore.Builder
open Microsoft.AspNetCore.Hosting
open Microsoft.AspNetCore.Server.Kestrel.Core
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging
open Regatta.Protocol.Compression
open Regatta.Protocol.V1
open Encodings

let private limit = 4 <<< 20

/// Answers a put with a pair of the same value, in the encoding that the request asks for.
type private Echo() =
    inherit KV.KVBase()

    override _.Put(request, context) =
        task {
            match context.RequestHeaders.GetValue "answer-in" with
            | null -> ()
            | encoding ->
                let headers = Metadata()
                headers.Add("grpc-internal-encoding-request", encoding)
                do! context.WriteResponseHeadersAsync headers

            return PutResponse(PrevKv = Regatta.Protocol.Mvcc.KeyValue(Value = request.Value))
        }

/// What a peer's encoder may write that is not an encoding of the message.
type private Forger(name: string, body: byte array) =
    interface ICompressionProvider with
        member _.EncodingName = name
        member _.CreateDecompressionStream stream = stream

        member _.CreateCompressionStream(target, _) =
            { new MemoryStream() with
                override _.Dispose(disposing) = if disposing then target.Write(body, 0, body.Length) }

/// Passes on to an encoding and counts the bytes that it decoded.
type private Counting(inner: ICompressionProvider) =
    let mutable decoded = 0L
    member _.Decoded = Interlocked.Read &decoded

    interface ICompressionProvider with
        member _.EncodingName = inner.EncodingName
        member _.CreateCompressionStream(stream, level) = inner.CreateCompressionStream(stream, level)

        member _.CreateDecompressionStream source =
            let stream = inner.CreateDecompressionStream source

            { new MemoryStream() with
                override _.Read(buffer: byte array, offset: int, count: int) =
                    let read = stream.Read(buffer, offset, count)
                    Interlocked.Add(&decoded, int64 read) |> ignore
                    read

                override _.Dispose(disposing) = if disposing then stream.Dispose() }

let private serve (providers: ICompressionProvider seq) (body: string -> Task<'a>) =
    task {
        let builder = WebApplication.CreateSlimBuilder()
        builder.Logging.ClearProviders() |> ignore

        builder.WebHost.ConfigureKestrel(fun kestrel ->
            kestrel.Listen(IPAddress.Loopback, 0, fun listen -> listen.Protocols <- HttpProtocols.Http2))
        |> ignore

        builder.Services.AddGrpc(fun options ->
            options.MaxReceiveMessageSize <- limit
            options.MaxSendMessageSize <- Nullable()

            for provider in providers do
                options.CompressionProviders.Add provider)
        |> ignore

        use app = builder.Build()
        app.MapGrpcService<Echo>() |> ignore
        do! app.StartAsync()
        let address = Seq.exactlyOne app.Urls
        let! result = body address
        do! app.StopAsync()
        return result
    }

/// What a call without a gRPC library gives.
type private Reply = { Status: StatusCode; Detail: string; Encoding: string; Body: byte array }

let private first (name: string) (headers: HttpResponseHeaders) = if headers.Contains name then Seq.head (headers.GetValues name) else ""

/// Sends one compressed frame to KV.Put over plain HTTP/2, so that nothing of the client library comes between.
let private post (address: string) (encoding: string) (answerIn: string) (compressed: byte array) =
    task {
        use client = new HttpClient()
        let frame = Array.zeroCreate<byte>(5 + compressed.Length)
        frame[0] <- 1uy
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan 1, compressed.Length)
        compressed.CopyTo(frame, 5)
        use content = new ByteArrayContent(frame)
        content.Headers.ContentType <- MediaTypeHeaderValue "application/grpc"
        use request = new HttpRequestMessage(HttpMethod.Post, Uri(address + "/regatta.v1.KV/Put"), Content = content)
        request.Version <- HttpVersion.Version20
        request.VersionPolicy <- HttpVersionPolicy.RequestVersionExact
        request.Headers.TE.ParseAdd "trailers"
        request.Headers.Add("grpc-encoding", encoding)
        request.Headers.Add("grpc-accept-encoding", "identity,gzip,snappy,zstd")

        if answerIn <> "" then request.Headers.Add("answer-in", answerIn)

        use! response = client.SendAsync request
        let! body = response.Content.ReadAsByteArrayAsync()
        // An error without a message carries its status in the headers.
        let trailer name = first name response.TrailingHeaders + first name response.Headers

        return
            { Status = enum (int (trailer "grpc-status"))
              Detail = Uri.UnescapeDataString(trailer "grpc-message")
              Encoding = first "grpc-encoding" response.Headers
              Body = body }
    }

let private putOf (value: byte array) =
    PutRequest(Table = ByteString.CopyFromUtf8 "t", Key = ByteString.CopyFromUtf8 "k", Value = ByteString.CopyFrom value)

let private channel (address: string) (providers: ICompressionProvider seq) =
    GrpcChannel.ForAddress(
        address,
        GrpcChannelOptions(CompressionProviders = ResizeArray providers, MaxReceiveMessageSize = limit, MaxSendMessageSize = Nullable())
    )

let private put (channel: GrpcChannel) (request: PutRequest) (encoding: string) (answerIn: string) =
    task {
        let headers = Metadata()
        headers.Add("grpc-internal-encoding-request", encoding)
        headers.Add("answer-in", answerIn)
        return! KV.KVClient(channel).PutAsync(request, CallOptions headers)
    }

let private expectStatus code (call: unit -> Task<'a>) =
    task {
        let! outcome =
            task {
                try
                    let! _ = call ()
                    return None
                with :? RpcException as e ->
                    return Some e.Status
            }

        match outcome with
        | Some status -> Expect.equal status.StatusCode code status.Detail
        | None -> failtestf "the call succeeded; expected %A" code

        return outcome.Value
    }

/// A message of the given decoded length and more, smaller than the limit on the wire.
let private bomb encoding (decodedLength: int) = encode encoding (putOf(Array.zeroCreate decodedLength).ToByteArray())

let private perEncoding (encoding: ICompressionProvider) =
    let name = encoding.EncodingName

    testList
        name
        [ testTask "a call goes there and back compressed, and is answered in kind" {
              do!
                  serve MessageEncodings.All (fun address ->
                      task {
                          let value = text 10_000
                          let! reply = post address name name (encode encoding (putOf(value).ToByteArray()))
                          Expect.equal reply.Status StatusCode.OK reply.Detail
                          Expect.equal reply.Encoding name "encoding of the answer"
                          Expect.equal reply.Body[0] 1uy "compressed flag"
                          Expect.isLessThan reply.Body.Length value.Length "length on the wire"
                          let response = PutResponse.Parser.ParseFrom(decode encoding reply.Body[5..])
                          Expect.isTrue (response.PrevKv.Value.Span.SequenceEqual value) "value"
                      })
          }

          testTask "the client library sends and reads it" {
              do!
                  serve MessageEncodings.All (fun address ->
                      task {
                          use channel = channel address MessageEncodings.All

                          for value in [ [||]; text 10; randomBytes 1_000_000 ] do
                              let! response = put channel (putOf value) name name
                              Expect.isTrue (response.PrevKv.Value.Span.SequenceEqual value) $"{value.Length} bytes"
                      })
          }

          testTask "a damaged request gives INTERNAL and a sentence" {
              do!
                  serve MessageEncodings.All (fun address ->
                      task {
                          let whole = encode encoding (putOf(text 10_000).ToByteArray())
                          let! reply = post address name "" whole[.. whole.Length / 2]
                          Expect.equal reply.Status StatusCode.Internal reply.Detail
                          Expect.stringContains reply.Detail $"not valid {name}" "detail"
                      })
          }

          testTask "a damaged reply gives INTERNAL and a sentence at the client" {
              let whole = encode encoding (putOf(text 10_000).ToByteArray())

              do!
                  serve [ Forger(name, whole[.. whole.Length / 2]) ] (fun address ->
                      task {
                          use channel = channel address MessageEncodings.All
                          let! status = expectStatus StatusCode.Internal (fun () -> put channel (putOf [||]) "identity" name)
                          Expect.stringContains status.Detail $"not valid {name}" "detail"
                      })
          }

          testTask "a request that grows beyond the receive limit is refused before it is decoded whole" {
              let counting = Counting encoding

              do!
                  serve [ counting ] (fun address ->
                      task {
                          let small = bomb encoding (32 <<< 20)
                          Expect.isLessThan small.Length limit "length on the wire"
                          let! reply = post address name "" small
                          Expect.equal reply.Status StatusCode.ResourceExhausted reply.Detail
                          Expect.isLessThanOrEqual counting.Decoded (int64 limit + 1L) "decoded bytes"
                          let! reply = post address name "" (bomb encoding (limit - 1000))
                          Expect.equal reply.Status StatusCode.OK $"just within the limit: {reply.Detail}"
                      })
          }

          testTask "a reply that grows beyond the receive limit is refused by the client before it is decoded whole" {
              let counting = Counting encoding

              do!
                  serve [ Forger(name, bomb encoding (32 <<< 20)) ] (fun address ->
                      task {
                          use channel = channel address [ counting ]
                          let! _ = expectStatus StatusCode.ResourceExhausted (fun () -> put channel (putOf [||]) "identity" name)
                          Expect.isLessThanOrEqual counting.Decoded (int64 limit + 1L) "decoded bytes"
                      })
          } ]

let tests = testList "message encodings over gRPC" [ for encoding in MessageEncodings.All -> perEncoding encoding ]
