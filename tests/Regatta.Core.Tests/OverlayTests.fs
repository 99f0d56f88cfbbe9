/// The parts of the overlay by themselves, against the plainest way to say what they do.
module Regatta.Core.Tests.OverlayTests

open Expecto
open FsCheck.FSharp
open Regatta.Core
open Regatta.Testing
open Regatta.Testing.Tables


let private cases = Scale.pick 1_000 50_000

let private wideRanges =
    Regatta.Spec.Generate.range
    |> Gen.map Translation.range
    |> Gen.filter (fun range -> not range.IsSingle && not range.IsEmpty)

let private rangeLists = Gen.choose (0, 12) |> Gen.bind (fun length -> Gen.listOfLength length wideRanges)

let private deletedRanges =
    Property.test
        "a key is covered if one of the deleted ranges contains it"
        cases
        rangeLists
        (Regatta.Spec.Shrink.list (fun _ -> Seq.empty))
        (fun ranges ->
            let deleted = DeletedRanges()

            for count, range in List.indexed ranges do
                deleted.Add range

                for key in Regatta.Spec.Generate.keys do
                    let expected = ranges |> List.take (count + 1) |> List.exists (fun range -> range.Contains key.Memory.Span)
                    Expect.equal (deleted.Covers key.Memory.Span) expected $"{key} after {count + 1} ranges"

            deleted.Clear()
            Expect.isTrue deleted.IsEmpty "empty when cleared"

            Expect.isFalse
                (Regatta.Spec.Generate.keys |> List.exists (fun key -> deleted.Covers key.Memory.Span))
                "covers nothing when cleared")

let private order =
    Property.test
        "touched keys come in key order, whenever the order is asked for"
        cases
        (Gen.choose (0, 5) |> Gen.bind (fun length -> Gen.listOfLength length (Gen.listOf Regatta.Spec.Generate.key)))
        (Regatta.Spec.Shrink.list (Regatta.Spec.Shrink.list Regatta.Spec.Shrink.key))
        (fun rounds ->
            let pending = PendingWrites()
            let mutable touched = Set.empty

            for round in rounds do
                for key in round do
                    let slot, known = pending.Slot key.Memory
                    Expect.equal known (Set.contains key touched) $"{key} is known"
                    Expect.equal (Translation.bytes pending[slot].Key) key "the slot's key"
                    touched <- Set.add key touched

                for key in Regatta.Spec.Generate.keys do
                    let first = pending.LowerBound key.Memory.Span
                    let following = Seq.initInfinite (fun i -> pending.SlotAt(first + i)) |> Seq.takeWhile (fun slot -> slot >= 0)
                    let expected = touched |> Set.filter (fun other -> other >= key) |> Set.toList
                    Expect.equal [ for slot in following -> Translation.bytes pending[slot].Key ] expected $"from {key} on")

let tests = testList "the overlay" [ deletedRanges; order ]
