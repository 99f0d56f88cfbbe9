module Regatta.Node.Tests.EncodingTests

open System
open System.IO
open System.Net.Http
open System.Net.Http.Headers
open Expecto
open Google.Protobuf
open Grpc.Net.Compression
open Regatta.Protocol.Compression
open Regatta.Protocol.V1

let private encode (encoding: ICompressionProvider) (message: byte array) =
    use target = new MemoryStream()

    do
        use stream = encoding.CreateCompressionStream(target, Nullable())
        stream.Write(message, 0, message.Length)

    target.ToArray()

let private decode (encoding: ICompressionProvider) (message: byte array) =
    use stream = encoding.CreateDecompressionStream(new MemoryStream(message))
    use result = new MemoryStream()
    stream.CopyTo result
    result.ToArray()

let private call (node: RunningNode) (method: string) (encoding: string option) (accept: string option) (body: byte array) =
    task {
        let headers =
            [ for name in Option.toList encoding -> "grpc-encoding", name ]
            @ [ for names in Option.toList accept -> "grpc-accept-encoding", names ]

        use client = new HttpClient(new SocketsHttpHandler(UseProxy = false))
        use! reply = client.SendAsync(WireCall.request node.Node.ApiAddress method headers body)
        let! content = reply.Content.ReadAsByteArrayAsync()

        // An error without a message has its status among the headers.
        let find (name: string) (headers: HttpResponseHeaders) =
            headers |> Seq.tryFind (fun header -> header.Key = name) |> Option.map (fun header -> Seq.head header.Value)

        let status = find "grpc-status" reply.TrailingHeaders |> Option.orElse (find "grpc-status" reply.Headers)
        return find "grpc-encoding" reply.Headers, content, Option.defaultValue "none" status
    }

let private request = RangeRequest(Table = Bytes.text "t", Key = Bytes.text "k").ToByteArray()
let private value = String('v', 5000)

let private withValue body =
    Nodes.using [ "tables.names", "t" ] (fun node ->
        task {
            let! _ = node.Put("t", "k", value)
            do! body node
        })

let private read (message: byte array) = (RangeResponse.Parser.ParseFrom message).Kvs[0].Value.ToStringUtf8()

let tests =
    testList
        "message encodings"
        [ for encoding in MessageEncodings.All do
              for method in [ "Range"; "IterateRange" ] do
                  yield
                      Nodes.test $"{method} answers {encoding.EncodingName} in kind" (fun () ->
                          withValue (fun node ->
                              task {
                                  let body = WireCall.frame true (encode encoding request)
                                  let accept = Some $"identity, {encoding.EncodingName}"
                                  let! used, content, status = call node method (Some encoding.EncodingName) accept body
                                  Expect.equal (used, status) (Some encoding.EncodingName, "0") "the reply's encoding"
                                  Expect.equal content[0] 1uy "the message is flagged as encoded"
                                  Expect.isLessThan content.Length 2000 "and it is"
                                  Expect.equal (read (decode encoding content[5..])) value "the value"
                              }))

          yield
              Nodes.test "a client that does not accept the encoding it sends gets a plain answer" (fun () ->
                  withValue (fun node ->
                      task {
                          let body = WireCall.frame true (encode MessageEncodings.Snappy request)
                          let! used, content, status = call node "Range" (Some "snappy") (Some "gzip") body
                          Expect.equal (used, status, content[0]) (None, "0", 0uy) "plain"
                          Expect.equal (read content[5..]) value "the value"
                      }))

          yield
              Nodes.test "a plain request gets a plain answer, whatever its client accepts" (fun () ->
                  withValue (fun node ->
                      task {
                          let! used, content, status = call node "Range" None (Some "gzip, snappy, zstd") (WireCall.frame false request)
                          Expect.equal (used, status, content[0]) (None, "0", 0uy) "plain"
                      }))

          yield
              Nodes.test "an encoding that is not known is refused with the ones that are" (fun () ->
                  withValue (fun node ->
                      task {
                          let! _, _, status = call node "Range" (Some "lz77") None (WireCall.frame true request)
                          Expect.equal status "12" "UNIMPLEMENTED"
                      }))

          yield
              Nodes.test "a request that is larger decoded than allowed is refused" (fun () ->
                  withValue (fun node ->
                      task {
                          let bomb =
                              PutRequest(
                                  Table = Bytes.text "t",
                                  Key = Bytes.text "k",
                                  Value = ByteString.CopyFrom(Array.zeroCreate<byte>(8 * 1024 * 1024))
                              )

                          for encoding in MessageEncodings.All do
                              let! _, _, status =
                                  call
                                      node
                                      "Put"
                                      (Some encoding.EncodingName)
                                      None
                                      (WireCall.frame true (encode encoding (bomb.ToByteArray())))

                              Expect.equal status "8" $"RESOURCE_EXHAUSTED for {encoding.EncodingName}"
                      })) ]
