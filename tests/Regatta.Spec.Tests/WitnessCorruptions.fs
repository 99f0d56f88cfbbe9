/// What is told by revisions: nothing that a table does not do.
module Regatta.Spec.Tests.WitnessCorruptions

open Regatta.Spec
open Regatta.Spec.Tests.Build
open Regatta.Spec.Tests.SimulatedHistory
open Regatta.Spec.Tests.Corruptions

let witnessed: (string * Corruption) list =
    [ "the last revisions are lost",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> revisionOf call > lastRevision history - 5L)
          |> oneOf random
          |> Option.bind (fun call ->
              { history with
                  Records = history.Records |> List.filter (fun (at, _) -> at < revisionOf call) }
              |> finds (function
                  | Lost found -> found.Began = call.Began
                  | _ -> false)))

      "an acknowledged write did nothing",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> history.Records[int (revisionOf call) - 1] |> snd |> List.isEmpty |> not)
          |> oneOf random
          |> Option.bind (fun call ->
              record (revisionOf call) (fun _ -> []) history
              |> finds (function
                  | OtherEffects found -> found.Began = call.Began
                  | _ -> false)))

      "a transaction is torn",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call -> (snd history.Records[int (revisionOf call) - 1]).Length > 1)
          |> oneOf random
          |> Option.bind (fun call ->
              record (revisionOf call) (fun effects -> List.truncate (effects.Length - 1) effects) history
              |> finds (function
                  | OtherEffects found -> found.Began = call.Began
                  | _ -> false)))

      "the changelog has another version",
      (fun random history ->
          history.Records
          |> List.filter (
              snd
              >> List.exists (function
                  | Effect.Put _ -> true
                  | Effect.Delete _ -> false)
          )
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              let change =
                  function
                  | Effect.Put(key, entry) -> Effect.Put(key, { entry with Version = entry.Version + 1L })
                  | other -> other

              record at (List.map change) history
              |> finds (function
                  | Misrecorded found -> found = at
                  | _ -> false)))

      "the changelog leaves out the keys that a range took away",
      (fun random history ->
          history.Records
          |> List.filter (
              snd
              >> List.exists (function
                  | Effect.Delete _ -> true
                  | Effect.Put _ -> false)
          )
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              let change =
                  function
                  | Effect.Delete(range, _) -> Effect.Delete(range, [])
                  | other -> other

              record at (List.map change) history
              |> finds (function
                  | Misrecorded found -> found = at
                  | _ -> false)))

      "the changelog leaves out a revision",
      (fun random history ->
          history.Records
          |> oneOf random
          |> Option.bind (fun (at, _) ->
              if at = lastRevision history then
                  None
              else
                  { history with Records = history.Records |> List.filter (fun (other, _) -> other <> at) }
                  |> finds (function
                      | Misrecorded found -> found = at + 1L
                      | _ -> false)))

      "a write is applied again at the end",
      (fun random history ->
          // Of a put: its value says whose it is. A delete of nothing might have been another one's.
          acknowledged history
          |> List.choose Observation.write
          |> List.filter _.IsPut
          |> oneOf random
          |> Option.bind (fun command ->
              let longer = append command history

              longer
              |> finds (function
                  | Uninvited at -> at = lastRevision longer
                  | _ -> false)))

      "a write of unknown fate happened twice",
      (fun random history ->
          let happened (call: Observation) =
              match call.Request, call.Outcome with
              | Request.Write(Command.Put put), Outcome.Unknown ->
                  history.Records
                  |> List.exists (
                      snd
                      >> List.exists (function
                          | Effect.Put(_, entry) -> entry.Value = put.Value
                          | Effect.Delete _ -> false)
                  )
              | _ -> false

          history.Calls
          |> List.filter happened
          |> List.choose Observation.write
          |> oneOf random
          |> Option.bind (fun command ->
              let longer = append command history

              longer
              |> finds (function
                  | Uninvited at -> at = lastRevision longer
                  | _ -> false)))

      "somebody else wrote",
      (fun _ history ->
          let longer = append (put "k0000" "of nobody") history

          longer
          |> finds (function
              | Uninvited at -> at = lastRevision longer
              | _ -> false))

      "a refused write happened",
      (fun random history ->
          acknowledged history
          |> List.filter (fun call ->
              match call.Request with
              | Request.Write(Command.Put _) -> true
              | _ -> false)
          |> oneOf random
          |> Option.bind (fun call ->
              instead call { call with Outcome = Outcome.Refused } history
              |> finds (function
                  | Uninvited at -> at = revisionOf call
                  | _ -> false)))

      "two writes were told the same revision",
      (fun random history ->
          match oneOf random (acknowledged history), oneOf random (acknowledged history) with
          | Some one, Some other when not (obj.ReferenceEquals(one, other)) ->
              let reply = Observation.reply other |> Option.get

              instead other (answering { reply with Revision = revisionOf one } other) history
              |> finds (function
                  | TwoAtOneRevision _ -> true
                  | _ -> false)
          | _ -> None)

      "a write that began later came first",
      (fun random history ->
          // Two of different keys, one behind the other in both orders: they change places, and each is told so.
          let puts =
              acknowledged history
              |> List.choose (fun call ->
                  match call.Request with
                  | Request.Write(Command.Put put) -> Some(call, put)
                  | _ -> None)

          List.pairwise (puts |> List.sortBy (fst >> revisionOf))
          |> List.filter (fun ((one, a), (other, c)) ->
              revisionOf other = revisionOf one + 1L && one.Ended < other.Began && a.Key <> c.Key)
          |> oneOf random
          |> Option.bind (fun ((one, a), (other, c)) ->
              let at = revisionOf one
              let before = stateAt history (at - 1L)
              let first, replyOfOther = Table.apply before (Command.Put c)
              let second, replyOfOne = Table.apply first (Command.Put a)

              history
              |> instead one (answering replyOfOne one)
              |> instead other (answering replyOfOther other)
              |> record at (fun _ -> first.Changelog.Records[at])
              |> record (at + 1L) (fun _ -> second.Changelog.Records[at + 1L])
              |> finds (outOfOrder one)))

      asOf
          "a linearizable read is stale"
          isRead
          (fun random history call ->
              endedBefore call history
              |> List.sortDescending
              |> List.tryHead
              |> Option.map (fun at -> at - 1L - int64 (random.Next 3)))
          outOfOrder

      asOf
          "a linearizable read saw what was written later"
          isRead
          (fun random history call -> begunAfter call history |> oneOf random)
          outOfOrder
      asOf "a local read saw what was written later" isLocal (fun random history call -> begunAfter call history |> oneOf random) outOfOrder

      reply
          "a read is of a revision that never was"
          (fun call -> isRead call || isLocal call)
          (fun _ history _ reply -> Some { reply with Revision = lastRevision history + 1L })
          (fun call ->
              function
              | NoSuchState found -> found.Began = call.Began
              | _ -> false)

      paired "a value is another one" (fun entry -> { entry with Value = b "of nobody" })
      paired "a version is one too high" (fun entry -> { entry with Version = entry.Version + 1L })
      paired "a create revision is another one" (fun entry -> { entry with CreateRevision = entry.CreateRevision - 1L })
      paired "a mod revision is another one" (fun entry -> { entry with ModRevision = entry.ModRevision + 1L })
      ranged "a key is missing" (fun answer -> if answer.Kvs.IsEmpty then None else Some { answer with Kvs = answer.Kvs.Tail })
      ranged "a key is there twice" (fun answer ->
          if answer.Kvs.IsEmpty then None else Some { answer with Kvs = answer.Kvs.Head :: answer.Kvs })
      ranged "a key is there that never was" (fun answer ->
          Some { answer with Kvs = answer.Kvs @ [ kv "k9999" (entry "of nobody" 1L 1L 1L) ] })
      ranged "the count is wrong" (fun answer -> Some { answer with Count = answer.Count + 1L })
      ranged "there would be more" (fun answer -> Some { answer with More = not answer.More })
      ranged "the order is the other way round" (fun answer ->
          if answer.Kvs.Length < 2 then None else Some { answer with Kvs = List.rev answer.Kvs })
      txn "a transaction says that it took the other branch" (fun succeeded responses -> Some(not succeeded, responses))
      txn "a transaction leaves out an answer" (fun succeeded responses -> Some(succeeded, responses.Tail))
      txn "a transaction answers in another order" (fun succeeded responses ->
          if responses.Length < 2 || List.rev responses = responses then None else Some(succeeded, List.rev responses))

      reply
          "a put says that there was nothing before"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Put(Some _) -> Some { reply with Response = Response.Put None }
              | _ -> None)
          wrong

      reply
          "a delete counts one too many"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Delete(count, previous) -> Some { reply with Response = Response.Delete(count + 1L, previous) }
              | _ -> None)
          wrong

      reply
          "a put is told the revision before its own"
          isChange
          (fun _ _ _ reply ->
              match reply.Response with
              | Response.Put _ -> Some { reply with Revision = reply.Revision - 1L }
              | _ -> None)
          (fun call ->
              function
              | OtherEffects found
              | Lost found -> found.Began = call.Began
              | TwoAtOneRevision(one, other) -> one.Began = call.Began || other.Began = call.Began
              | _ -> false) ]
