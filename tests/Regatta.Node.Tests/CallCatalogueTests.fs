module Regatta.Node.Tests.CallCatalogueTests

open System
open Expecto
open Grpc.Core

/// `...` stands for any text.
let private matches (pattern: string) (text: string) =
    let pieces = pattern.Split "..."

    if pieces.Length = 1 then
        text = pattern
    else
        text.StartsWith(pieces[0], StringComparison.Ordinal)
        && text.EndsWith(Array.last pieces, StringComparison.Ordinal)
        && text.Length >= pattern.Length - 3

let private check (row: Row) =
    task {
        let! node = SharedNodes.get row.Setting
        let! status = Status.ofCall (row.Send node)
        Expect.equal status.StatusCode row.Code $"the code; the message is \"{status.Detail}\""

        if row.Code <> StatusCode.OK then
            Expect.isTrue (matches row.Message status.Detail) $"the message should be \"{row.Message}\", it is \"{status.Detail}\""
    }

let tests =
    testList
        "the call catalogue"
        [ for row in CallCatalogue.rows do
              yield Nodes.test $"{row.Call}: {row.When} -> {row.Code}" (fun () -> check row)

          yield
              test "has no row twice" {
                  let twice =
                      CallCatalogue.rows |> List.countBy (fun row -> row.Call, row.When) |> List.filter (fun (_, count) -> count > 1)

                  Expect.isEmpty twice "rows with the same call and condition"
              } ]
