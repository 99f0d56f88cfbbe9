namespace Regatta.Spec

/// How many bytes go into one page is the server's affair; what the pages of one answer must come to is not.
module Pages =
    let private require condition message = if condition then Ok() else Error message

    /// The first of the checks that failed, if any.
    let private all checks = checks |> List.tryFind Result.isError |> Option.defaultValue (Ok())

    /// Whether the pages, in the order received, are the whole answer: all of one revision, nothing missing, doubled or out of order,
    /// each counting its own keys, `More` on every page but the last, which says what the whole answer says. An empty answer is one
    /// empty page. `whole` is the model's.
    let concatenate (whole: RangeAnswer) (pages: RangeAnswer list) =
        match List.rev pages with
        | [] -> Error "there is no page, not even an empty one"
        | last :: earlier ->
            all
                [ require (List.collect _.Kvs pages = whole.Kvs) "the pages' keys and values are not those of the answer"
                  require (List.sumBy _.Count pages = whole.Count) "the pages' counts do not add up to the answer's"
                  require (last.More = whole.More) $"more is {last.More} on the last page, {whole.More} in the answer"
                  require (List.forall _.More earlier) "a page that is not the last says that there is no more"
                  require (List.forall (fun page -> page.Count > 0L) earlier) "a page that is not the last is empty"
                  require (earlier.IsEmpty || last.Count > 0L) "the last of several pages is empty"
                  require
                      (pages |> List.forall (fun page -> page.Kvs.IsEmpty || page.Count = int64 page.Kvs.Length))
                      "a page miscounts its keys" ]

    /// Whether a page alone is a right reply to a range: the whole answer, or a beginning of it that is not empty and says More.
    let isFirst (whole: RangeAnswer) (page: RangeAnswer) =
        if page.Count = whole.Count then
            concatenate whole [ page ]
        else
            all
                [ require (page.Count > 0L && page.Count < whole.Count) $"a first page of {page.Count} keys of {whole.Count}"
                  require page.More "the first page says that there is no more"
                  require (page.Count = int64 page.Kvs.Length) "the page miscounts its keys"
                  require (page.Kvs = List.truncate page.Kvs.Length whole.Kvs) "the page's keys and values are not the first of the answer" ]
