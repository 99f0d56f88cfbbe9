module Regatta.Node.Tests.ReflectionTests

open System.Collections.Generic
open Expecto
open Google.Protobuf
open Google.Protobuf.Reflection
open Grpc.Core
open Grpc.Reflection.V1

let private ask (node: RunningNode) (request: ServerReflectionRequest) =
    task {
        use call = ServerReflection.ServerReflectionClient(node.Clients.Invoker).ServerReflectionInfo()
        do! call.RequestStream.WriteAsync request
        let! _ = call.ResponseStream.MoveNext System.Threading.CancellationToken.None
        let reply = call.ResponseStream.Current
        do! call.RequestStream.CompleteAsync()
        return reply
    }

let private services (node: RunningNode) =
    task {
        let! reply = ask node (ServerReflectionRequest(ListServices = ""))
        return reply.ListServicesResponse.Service |> Seq.map _.Name |> Seq.sort |> List.ofSeq
    }

/// Imports before what imports them.
let private sort (files: FileDescriptorProto list) =
    let rec add (sorted: FileDescriptorProto list) (file: FileDescriptorProto) =
        if sorted |> List.exists (fun other -> other.Name = file.Name) then
            sorted
        else
            let imports = files |> List.filter (fun other -> file.Dependency.Contains other.Name)
            (imports |> List.fold add sorted) @ [ file ]

    files |> List.fold add []

/// The file that defines a symbol with all that it imports, as descriptors, from reflection alone.
let private descriptors (node: RunningNode) (symbol: string) =
    task {
        let! reply = ask node (ServerReflectionRequest(FileContainingSymbol = symbol))
        let files = reply.FileDescriptorResponse.FileDescriptorProto |> Seq.map FileDescriptorProto.Parser.ParseFrom |> List.ofSeq
        return FileDescriptor.BuildFromByteStrings(sort files |> Seq.map _.ToByteString())
    }

// A generic client writes messages by the descriptor's field numbers.
let private writeField (descriptor: MessageDescriptor) (values: (string * ByteString) list) =
    use target = new System.IO.MemoryStream()
    let output = new CodedOutputStream(target)

    for name, value in values do
        let field = descriptor.FindFieldByName name
        output.WriteTag(field.FieldNumber, WireFormat.WireType.LengthDelimited)
        output.WriteBytes value

    output.Flush()
    target.ToArray()

let private readFields (message: byte array) =
    let input = new CodedInputStream(message)
    let fields = Dictionary<int, List<ByteString>>()
    let mutable tag = input.ReadTag()

    while tag <> 0u do
        if WireFormat.GetTagWireType tag = WireFormat.WireType.LengthDelimited then
            let number = WireFormat.GetTagFieldNumber tag

            if not (fields.ContainsKey number) then fields[number] <- List()

            fields[number].Add(input.ReadBytes())
        else
            input.SkipLastField()

        tag <- input.ReadTag()

    fields

let private first (field: FieldDescriptor) (message: byte array) =
    let fields = readFields message
    fields[field.FieldNumber] |> Seq.head

let private invoke (node: RunningNode) (method: MethodDescriptor) (request: byte array) =
    let bytes = Marshallers.Create<byte array>(id, id)
    let call = Method<byte array, byte array>(MethodType.Unary, method.Service.FullName, method.Name, bytes, bytes)
    node.Clients.Invoker.AsyncUnaryCall(call, null, CallOptions(), request).ResponseAsync

let tests =
    testList
        "reflection"
        [ Nodes.test "lists exactly the services that are there" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! names = services node

                      let expected =
                          [ "grpc.health.v1.Health"
                            "grpc.reflection.v1.ServerReflection"
                            "grpc.reflection.v1alpha.ServerReflection"
                            "regatta.v1.Cluster"
                            "regatta.v1.KV"
                            "regatta.v1.Tables"
                            "regatta.v1ext.Site" ]

                      Expect.equal names expected "all of them"
                  }))

          Nodes.test "does not list Tables where it is not served" (fun () ->
              Nodes.using [ "tables.enabled", "false" ] (fun node ->
                  task {
                      let! names = services node
                      Expect.isFalse (List.contains "regatta.v1.Tables" names) "not there, not listed"
                  }))

          Nodes.test "a client that knows nothing but the port can create a table, write and read" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let! files = descriptors node "regatta.v1.KV"
                      let service name = files |> Seq.collect _.Services |> Seq.find (fun service -> service.FullName = name)
                      let create = (service "regatta.v1.Tables").FindMethodByName "Create"
                      let! _ = invoke node create (writeField create.InputType [ "name", (Bytes.text "t") ])
                      let put = (service "regatta.v1.KV").FindMethodByName "Put"
                      let pair = [ "table", (Bytes.text "t"); "key", (Bytes.text "k"); "value", (Bytes.text "v") ]
                      let! _ = invoke node put (writeField put.InputType pair)
                      let range = (service "regatta.v1.KV").FindMethodByName "Range"
                      let! reply = invoke node range (writeField range.InputType (List.take 2 pair))
                      let kvs = range.OutputType.FindFieldByName "kvs"
                      let stored = (first kvs reply).ToByteArray()
                      let value = first (kvs.MessageType.FindFieldByName "value") stored
                      Expect.equal (value.ToStringUtf8()) "v" "what was written"
                  }))

          Nodes.test "the older version of reflection works too" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      let client = Grpc.Reflection.V1Alpha.ServerReflection.ServerReflectionClient(node.Clients.Invoker)
                      use call = client.ServerReflectionInfo()
                      do! call.RequestStream.WriteAsync(Grpc.Reflection.V1Alpha.ServerReflectionRequest(ListServices = ""))
                      let! _ = call.ResponseStream.MoveNext System.Threading.CancellationToken.None
                      Expect.isNonEmpty call.ResponseStream.Current.ListServicesResponse.Service "services"
                      do! call.RequestStream.CompleteAsync()
                  })) ]
