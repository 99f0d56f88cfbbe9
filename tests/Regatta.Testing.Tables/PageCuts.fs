/// Where the implementation cuts an answer into pages: the rule, written a second time. The specification leaves sizes open
/// (Regatta.Spec.Pages says what any cut must come to); these are exact, so that a page can be neither too large nor needlessly small.
module Regatta.Testing.Tables.PageCuts

open Regatta.Spec

/// Bytes of one answer before its first record, and of one record beside key and value.
let private answerBytes = 32L
let private recordBytes = 48L

type private Budget = { Left: int64; Empty: bool }

let private opening pageBytes = { Left = int64 pageBytes; Empty = true }

/// As many as fit, at least one in the whole reply; and the rest.
let private fit budget kvs =
    let rec take budget taken (kvs: KeyValue list) =
        match kvs with
        | kv :: rest ->
            let size = int64 kv.Key.Length + int64 kv.Entry.Value.Length + recordBytes

            if budget.Empty || size <= budget.Left then
                take { Left = budget.Left - size; Empty = false } (kv :: taken) rest
            else
                List.rev taken, kvs, budget
        | [] -> List.rev taken, [], budget

    take { budget with Left = budget.Left - answerBytes } [] kvs

let private cut budget (answer: RangeAnswer) =
    match fit budget answer.Kvs with
    | _, [], budget -> answer, [], budget
    | shown, rest, budget -> { Kvs = shown; More = true; Count = int64 shown.Length }, rest, budget

/// The pages of an answer, in order.
let pages pageBytes (whole: RangeAnswer) =
    let rec next answer =
        match cut (opening pageBytes) answer with
        | page, [], _ -> [ page ]
        | page, rest, _ -> page :: next { answer with Kvs = rest; Count = int64 rest.Length }

    next whole

/// The reply to a command or a transaction: all its range operations share one page.
let reply pageBytes (reply: Reply) =
    let operation budget response =
        match response with
        | Response.Range answer ->
            let page, _, budget = cut budget answer
            Response.Range page, budget
        | other -> other, budget

    match reply.Response with
    | Response.Txn(succeeded, responses) ->
        let responses, _ = List.mapFold operation (opening pageBytes) responses
        { reply with Response = Response.Txn(succeeded, responses) }
    | _ -> reply
