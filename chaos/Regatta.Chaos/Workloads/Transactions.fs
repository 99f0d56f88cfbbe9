/// Transactions over several keys.
module Regatta.Chaos.Transactions

open System.Threading.Tasks
open Regatta.Spec

let accounts = 6
let total = accounts * 100
let private account number = Client.key $"bank/{number}"
let bankKeys = KeyRange.prefix (Client.key "bank/")
let balance (kv: KeyValue) = int (Client.said kv.Entry.Value)

/// All accounts, if none is there yet.
let private openBank (client: Client) =
    { Compares = [ Client.unchanged (account 0) None ]
      Success = [ for number in 0 .. accounts - 1 -> Client.put (account number) (Client.value client "100") ]
      Failure = [] }

let private transfer (client: Client) (accounts: KeyValue list) =
    let from = client.Draw.Next accounts.Length
    let into = (from + 1 + client.Draw.Next(accounts.Length - 1)) % accounts.Length
    let amount = 1 + client.Draw.Next(max 1 (balance accounts[from]))
    let compares = [ for at in [ from; into ] -> Client.unchanged accounts[at].Key (Some accounts[at]) ]
    let after at change = Client.put accounts[at].Key (Client.value client (string (balance accounts[at] + change)))
    { Compares = compares; Success = [ after from -amount; after into amount ]; Failure = [] }

let bank =
    { Name = "bank"
      What = "money goes from one account to another in transactions; whoever reads all accounts at once sees all the money, at any site"
      Clients = 4
      Run =
        fun number client ->
            let manner = Manner.plain "bank"

            Client.forever client (fun () ->
                task {
                    if number = 3 then
                        // This one only looks, anywhere.
                        let place = Client.anyNode client (Client.anySite client)

                        let atOnce =
                            Request.LocalRead(
                                Query.Txn { Compares = []; Success = List.init accounts (account >> Client.get); Failure = [] }
                            )

                        let request = if client.Draw.Next 2 = 0 then atOnce else Client.readLocally bankKeys
                        let! _ = client.Caller.Call(place, Manner.local "bank", request)
                        do! Task.Delay(System.TimeSpan.FromMilliseconds 10.0, System.TimeProvider.System)
                    else
                        match! Client.call client manner (Client.read bankKeys) with
                        | None -> ()
                        | Some reply ->
                            let found = Client.found reply
                            let change = if found.Length = accounts then transfer client found else openBank client
                            let! _ = Client.call client manner (Request.Write(Command.Txn change))
                            ()
                }
                :> Task) }

let private most = 40

let append =
    { Name = "append"
      What = "lists to which one element is added at a time, in transactions; a full one begins anew"
      Clients = 3
      Run =
        fun _ client ->
            let manner = Manner.plain "append"

            Client.forever client (fun () ->
                task {
                    let key = Client.key $"list/{client.Draw.Next 3}"
                    let other = Client.key $"list/{client.Draw.Next 3}/length"

                    match! Client.call client manner (Client.read (KeyRange.single key)) with
                    | None -> ()
                    | Some reply ->
                        let before = List.tryHead (Client.found reply)

                        let text = before |> Option.map (fun kv -> Client.text kv.Entry.Value) |> Option.defaultValue ""

                        let elements = text.Split(',', System.StringSplitOptions.RemoveEmptyEntries)
                        client.Made <- client.Made + 1
                        let element = $"{client.Caller.Number}.{client.Made}"
                        let list = if elements.Length >= most then [| element |] else Array.append elements [| element |]

                        let change =
                            { Compares = [ Client.unchanged key before ]
                              Success =
                                [ Client.put key (Bytes.OfText(String.concat "," list))
                                  Client.put other (Client.value client (string list.Length)) ]
                              Failure = [ Client.get key; Client.get other ] }

                        let! _ = Client.call client manner (Request.Write(Command.Txn change))
                        ()
                }
                :> Task) }
