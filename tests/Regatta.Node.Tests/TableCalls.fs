/// The calls that create, delete and list tables.
module Regatta.Node.Tests.TableCalls

open System
open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Raft
open Regatta.Node.Tests.CallRow

let private bearer (token: string) =
    let headers = Metadata()
    headers.Add("authorization", token)
    headers

let private list headers (node: RunningNode) = node.Clients.Tables.ListAsync(ListTablesRequest(), headers = headers).ResponseAsync :> Task

let private create name (node: RunningNode) = node.Clients.Tables.CreateAsync(CreateTableRequest(Name = name)).ResponseAsync :> Task
let private drop name (node: RunningNode) = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = name)).ResponseAsync :> Task

let private nameRule =
    "table name must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', the first one a letter or a digit"

let private tokens call (send: Metadata -> RunningNode -> Task) =
    [ row call WithToken "the token is right" StatusCode.OK "" (send (bearer "Bearer secret"))
      row
          call
          WithToken
          "`authorization` is missing, or not Bearer"
          StatusCode.Unauthenticated
          "Request unauthenticated with bearer"
          (send (Metadata()))
      row call WithToken "the token is wrong" StatusCode.Unauthenticated "Invalid token" (send (bearer "Bearer wrong"))
      row call WithoutTables "`tables.enabled` is false" StatusCode.Unimplemented "Service is unimplemented." (send (Metadata())) ]

let private refusedCatalogue call (send: RunningNode -> Task) =
    [ row
          call
          (Catalogue(Refuses(GroupFailure.NoLeader, "the group has no leader")))
          "the catalogue's group has no leader"
          StatusCode.Unavailable
          "the group has no leader"
          send
      row
          call
          (Catalogue(Refuses(GroupFailure.Overloaded, "the queue is full")))
          "more changes wait than the node holds"
          StatusCode.ResourceExhausted
          "the queue is full"
          send
      failed call send ]

let rows: Row list =
    [ row "Create" Plain "a good name" StatusCode.OK "" (create "Good-name_1.x")
      row "Create" Plain "128 characters" StatusCode.OK "" (create (String('n', 128)))
      row "Create" Plain "no name is given" invalid "name must be set" (create "")
      row "Create" Plain "the name is taken" invalid "table already exists" (create "t")
      row "Create" Plain "129 characters" invalid $"{nameRule}; it has 129 characters" (create (String('n', 129)))
      row "Create" Plain "a character that is not allowed" invalid $"{nameRule}; character 2 is '/'" (create "a/b")
      row "Create" Plain "the first character is no letter or digit" invalid nameRule (create ".hidden")
      row "Delete" Plain "no name is given" invalid "name must be set" (drop "")
      row "Delete" Plain "there is no such table" invalid "table not found" (drop "none")
      row "List" Plain "any time" StatusCode.OK "" (list (Metadata())) ]
    @ tokens "Create" (fun headers node ->
        node.Clients.Tables.CreateAsync(CreateTableRequest(Name = "made"), headers = headers).ResponseAsync)
    @ tokens "Delete" (fun headers node ->
        task {
            let right = bearer "Bearer secret"

            let! _ = Status.ofCall (node.Clients.Tables.CreateAsync(CreateTableRequest(Name = "unmade"), headers = right).ResponseAsync)

            let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "unmade"), headers = headers)
            ()
        })
    @ tokens "List" list
    @ refusedCatalogue "Create" (create "another")
    @ refusedCatalogue "Delete" (drop "t")
    @ refusedCatalogue "List" (list (Metadata()))
