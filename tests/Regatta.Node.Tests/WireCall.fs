namespace Regatta.Node.Tests

open System
open System.Buffers.Binary
open System.Net
open System.Net.Http
open System.Net.Http.Headers
open Regatta.Node

/// A call of KV as it is on the wire, for tests that look at what gRPC libraries hide.
module WireCall =
    /// A message in its frame.
    let frame (compressed: bool) (message: byte array) =
        let bytes = Array.zeroCreate (5 + message.Length)
        bytes[0] <- if compressed then 1uy else 0uy
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan 1, uint32 message.Length)
        message.CopyTo(bytes, 5)
        bytes

    let request (address: ListenAddress) (method: string) (headers: (string * string) list) (body: byte array) =
        let request =
            new HttpRequestMessage(
                HttpMethod.Post,
                $"{address}/regatta.v1.KV/{method}",
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact
            )

        request.Headers.TE.Add(TransferCodingWithQualityHeaderValue "trailers")

        for name, value in headers do
            request.Headers.Add(name, value)

        let message = new ByteArrayContent(body)
        message.Headers.ContentType <- MediaTypeHeaderValue "application/grpc"
        request.Content <- message
        request
