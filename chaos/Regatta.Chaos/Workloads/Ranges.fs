/// Many keys at once, while they change.
module Regatta.Chaos.Ranges

open System.Threading.Tasks
open Regatta.Spec

let private prefix = Client.key "many/"
let private key number = Client.key $"many/{number:D3}"
let private keys = 120

/// All of them together are more than a page of the nodes, and thirty of them are not.
let private padding = String.replicate 40 "x"

let private fill (client: Client) =
    let first = client.Draw.Next keys

    { Compares = []
      Success = [ for number in first .. first + 7 -> Client.put (key (number % keys)) (Client.value client padding) ]
      Failure = [] }

let ranges =
    { Name = "range"
      What =
        "many keys are written at once, and ranges of them read at any node: whole, with a limit, only keys, only how many, in pages, by revision"
      Clients = 4
      Run =
        fun number client ->
            let look () =
                let projection =
                    match client.Draw.Next 6 with
                    | 0 -> Projection.KeysOnly
                    | 1 -> Projection.CountOnly
                    | _ -> Projection.Full

                let limit = if client.Draw.Next 3 = 0 then int64 (1 + client.Draw.Next 30) else 0L
                let op = { Range = KeyRange.prefix prefix; Limit = limit; Projection = projection }

                let filter =
                    if client.Draw.Next 5 = 0 then
                        { RevisionFilter.None with MinMod = int64 (client.Draw.Next 3000) }
                    else
                        RevisionFilter.None

                Query.Range(op, filter)

            // What is more than a page is read in pages.
            let manner (plain: Manner) query =
                match query with
                | Query.Range({ Limit = 0L; Projection = Projection.Full | Projection.KeysOnly }, _) -> { plain with InPages = true }
                | _ -> { plain with InPages = client.Draw.Next 2 = 0 }

            Client.forever client (fun () ->
                task {
                    if number < 2 then
                        let! _ = Client.call client (Manner.plain "range") (Request.Write(Command.Txn(fill client)))
                        ()
                    elif client.Draw.Next 2 = 0 then
                        let query = look ()
                        let! _ = Client.call client (manner (Manner.plain "range") query) (Request.Read query)
                        ()
                    else
                        let query = look ()
                        let place = Client.anyNode client (Client.anySite client)
                        let! _ = client.Caller.Call(place, manner (Manner.local "range") query, Request.LocalRead query)
                        ()
                }
                :> Task) }

let deletes =
    { Name = "delete-range"
      What = "ranges of a few or many of those keys are deleted, with and without what they held"
      Clients = 1
      Run =
        fun _ client ->
            Client.forever client (fun () ->
                task {
                    let first = client.Draw.Next keys
                    let range = KeyRange.between (key first) (key (first + 1 + client.Draw.Next 20))

                    let request =
                        Request.Write(Command.Delete { Range = range; PrevKv = client.Draw.Next 2 = 0; Count = client.Draw.Next 2 = 0 })

                    let! _ = Client.call client (Manner.plain "delete-range") request
                    do! Task.Delay(System.TimeSpan.FromMilliseconds 60.0, System.TimeProvider.System)
                }
                :> Task) }
