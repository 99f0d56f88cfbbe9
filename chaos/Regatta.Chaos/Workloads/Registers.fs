/// Single keys: written, read and deleted, and changed only when they are what they were.
module Regatta.Chaos.Registers

open System.Threading.Tasks
open Regatta.Spec

let private register number = Client.key $"reg/{number:D2}"
let private keys = 12

let registers =
    { Name = "register"
      What = "puts, linearizable reads and deletes of a few keys, at any node of the leader site"
      Clients = 6
      Run =
        fun _ client ->
            let manner = Manner.plain "register"

            Client.forever client (fun () ->
                task {
                    let key = register (client.Draw.Next keys)

                    let request =
                        match client.Draw.Next 20 with
                        | draw when draw < 8 -> Request.Write(Command.Put { Key = key; Value = Client.value client ""; PrevKv = draw < 3 })
                        | draw when draw < 10 -> Request.Write(Command.Delete { Range = KeyRange.single key; PrevKv = true; Count = true })
                        | _ -> Client.read (KeyRange.single key)

                    let! _ = Client.call client manner request
                    ()
                }
                :> Task) }

let compareAndSwap =
    { Name = "cas"
      What = "a key is read and put again if it has not changed, each client against all others"
      Clients = 3
      Run =
        fun _ client ->
            let manner = Manner.plain "cas"

            Client.forever client (fun () ->
                task {
                    let key = Client.key $"cas/{client.Draw.Next 3}"

                    match! Client.call client manner (Client.read (KeyRange.single key)) with
                    | None -> ()
                    | Some before ->
                        let change =
                            { Compares = [ Client.unchanged key (List.tryHead (Client.found before)) ]
                              Success = [ Client.put key (Client.value client ""); Client.get key ]
                              Failure = [ Client.get key ] }

                        let! _ = Client.call client manner (Request.Write(Command.Txn change))
                        ()
                }
                :> Task) }
