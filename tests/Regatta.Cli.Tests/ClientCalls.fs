/// Calls of the client library, and what they fail with.
module ClientCalls

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Regatta.Client
open Regatta.Protocol.V1

let private endpointOf (text: string) =
    let mutable endpoint = null
    let mutable error = null
    if Endpoint.TryParse(text, &endpoint, &error) then nonNull endpoint else failtestf "%s is no endpoint" text

let connect (timeout: TimeSpan) (endpoints: string list) =
    new RegattaClient(ClientOptions(Endpoints = [| for text in endpoints -> endpointOf text |], Timeout = timeout))

let patient = TimeSpan.FromSeconds 30.0
let impatient = TimeSpan.FromMilliseconds 300.0
let table = ByteString.CopyFromUtf8 "default"
let bytes (text: string) = ByteString.CopyFromUtf8 text
let get key = RangeRequest(Table = table, Key = bytes key)
let put key value = PutRequest(Table = table, Key = bytes key, Value = bytes value)
let none = CancellationToken.None

let failure (call: Task<'a>) =
    task {
        try
            let! _ = call
            return failtest "the call succeeded"
        with :? RegattaException as e ->
            return e
    }
