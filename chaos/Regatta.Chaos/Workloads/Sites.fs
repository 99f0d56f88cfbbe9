/// Clients of follower sites, and those who go from site to site.
module Regatta.Chaos.Sites

open System
open System.Threading.Tasks
open Regatta.Protocol.V1
open Regatta.Spec

let sessions =
    { Name = "session"
      What =
        "each call at another node of any site, with the session's token, and now and then with that of another one: nobody goes back, and everybody sees what he has written"
      Clients = 6
      Run =
        fun number client ->
            let tokens = SessionTokens()
            let manner = { Manner.local "session" with Session = Some tokens }
            let key of' = Client.key $"session/{of'}"

            Client.forever client (fun () ->
                task {
                    client.Place <- Client.anyNode client (Client.anySite client)

                    if client.Draw.Next 20 < 7 then
                        let put = Command.Put { Key = key number; Value = Client.value client ""; PrevKv = false }
                        let! _ = Client.call client manner (Request.Write put)
                        client.Board[number] <- (tokens.Own, tokens.Seen)
                    else
                        let of' = client.Draw.Next 6

                        // Whoever is told of something by another one reads it, or something later.
                        match client.Board.TryGetValue of' with
                        | true, shown when of' <> number && client.Draw.Next 2 = 0 -> tokens.Other <- Some shown
                        | _ -> ()

                        let! _ = Client.call client manner (Client.readLocally (KeyRange.single (key of')))
                        tokens.Other <- None
                }
                :> Task) }

let bounded =
    { Name = "staleness"
      What =
        "reads at nodes of follower sites of what is there, some with a bound that is asked for; each answer says how stale it is at most"
      Clients = 4
      Run =
        fun _ client ->
            Client.forever client (fun () ->
                task {
                    client.Place <- Client.anyNode client (Client.anyFollowerSite client)

                    let most =
                        if client.Draw.Next 3 = 0 then TimeSpan.FromMilliseconds(float (client.Draw.Next(50, 3000))) else TimeSpan.Zero

                    let manner = { Manner.local "staleness" with MaxStaleness = most }
                    let! _ = Client.call client manner (Client.readLocally (KeyRange.prefix (Client.key "reg/")))
                    ()
                }
                :> Task) }

let globals =
    { Name = "global"
      What = "reads at follower sites that must see everything that was acknowledged anywhere"
      Clients = 2
      Run =
        fun _ client ->
            let manner = { Manner.plain "global" with Consistency = Consistency.Global }

            Client.forever client (fun () ->
                task {
                    client.Place <- Client.anyNode client (Client.anyFollowerSite client)
                    let! _ = Client.call client manner (Client.read (KeyRange.prefix (Client.key "reg/")))
                    ()
                }
                :> Task) }

let forwarded =
    { Name = "forwarded"
      What = "puts, deletes and transactions at nodes of follower sites, which pass them on"
      Clients = 4
      Run =
        fun number client ->
            let manner = Manner.plain "forwarded"
            let key of' = Client.key $"reg/{of':D2}"

            Client.forever client (fun () ->
                task {
                    client.Place <- Client.anyNode client (Client.anyFollowerSite client)

                    let command =
                        match client.Draw.Next 4 with
                        | 0 ->
                            let own = Client.key $"forwarded/{number}"

                            Command.Txn
                                { Compares = []
                                  Success =
                                    [ Client.get own
                                      Client.put own (Client.value client "")
                                      Client.put (key (client.Draw.Next 12)) (Client.value client "") ]
                                  Failure = [] }
                        | 1 -> Command.Delete { Range = KeyRange.single (key (client.Draw.Next 12)); PrevKv = true; Count = true }
                        | _ ->
                            Command.Put
                                { Key = key (client.Draw.Next 12)
                                  Value = Client.value client ""
                                  PrevKv = client.Draw.Next 2 = 0 }

                    let! _ = Client.call client manner (Request.Write command)
                    ()
                }
                :> Task) }
