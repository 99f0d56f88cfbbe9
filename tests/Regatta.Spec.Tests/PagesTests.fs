/// wire.md 1.3: pages. Every way to page wrongly is refused, each for its own reason.
module Regatta.Spec.Tests.PagesTests

open Expecto
open Regatta.Spec
open Regatta.Spec.Tests.Build

let private state = after [ for key in [ "a"; "b"; "c"; "d" ] -> put key "1" ]
let private whole = select state KeyRange.all
let private page (range: KeyRange) more = { select state range with More = more }
let private ab = page (KeyRange.between (b "a") (b "c")) true
let private cd = page (KeyRange.from (b "c")) false
let private none: RangeAnswer = { Kvs = []; More = false; Count = 0L }
let private counted: RangeAnswer = { Kvs = []; More = false; Count = 4L }

let private accepted name verdict = testCase name (fun () -> Expect.equal verdict (Ok()) "accepted")
let private refused name reason verdict = testCase name (fun () -> Expect.equal verdict (Error reason) "refused")

let private whats = "the pages' keys and values are not those of the answer"

let private concatenated =
    testList
        "of one answer"
        [ accepted "may be one" (Pages.concatenate whole [ whole ])
          accepted "may be several" (Pages.concatenate whole [ ab; cd ])
          accepted "are one empty page when nothing matches" (Pages.concatenate none [ none ])
          accepted "are one page for a count" (Pages.concatenate counted [ counted ])
          accepted "stop at the limit, and the last then says more" (Pages.concatenate ab [ ab ])
          refused "are not none at all" "there is no page, not even an empty one" (Pages.concatenate none [])
          refused "lack nothing" whats (Pages.concatenate whole [ ab ])
          refused "repeat nothing" whats (Pages.concatenate whole [ ab; ab; cd ])
          refused "come in order" whats (Pages.concatenate whole [ { cd with More = true }; { ab with More = false } ])
          refused
              "count together what the answer counts"
              "the pages' counts do not add up to the answer's"
              (Pages.concatenate counted [ none ])
          refused
              "end as the answer ends"
              "more is True on the last page, False in the answer"
              (Pages.concatenate whole [ ab; { cd with More = true } ])
          refused
              "say more until the last"
              "a page that is not the last says that there is no more"
              (Pages.concatenate whole [ { ab with More = false }; cd ])
          refused
              "are not empty on the way"
              "a page that is not the last is empty"
              (Pages.concatenate whole [ ab; { none with More = true }; cd ])
          refused
              "do not end with an empty one"
              "the last of several pages is empty"
              (Pages.concatenate whole [ ab; { cd with More = true }; none ])
          refused
              "count their own keys"
              "a page miscounts its keys"
              (Pages.concatenate whole [ { ab with Count = 1L }; { cd with Count = 3L } ]) ]

let private first =
    testList
        "alone"
        [ accepted "is the whole answer" (Pages.isFirst whole whole)
          accepted "or a beginning that says more" (Pages.isFirst whole ab)
          accepted "is empty when nothing matches" (Pages.isFirst none none)
          refused "is not empty when something does" "a first page of 0 keys of 4" (Pages.isFirst whole { none with More = true })
          refused
              "does not hide that there is more"
              "the first page says that there is no more"
              (Pages.isFirst whole { ab with More = false })
          refused
              "is the beginning, not a later part"
              "the page's keys and values are not the first of the answer"
              (Pages.isFirst whole { cd with More = true })
          refused
              "does not say more after the whole answer"
              "more is True on the last page, False in the answer"
              (Pages.isFirst whole { whole with More = true })
          refused "counts its keys" "the page miscounts its keys" (Pages.isFirst whole { ab with Count = 3L })
          refused
              "counts the whole range or nothing"
              "the page miscounts its keys"
              (Pages.isFirst counted { counted with Count = 2L; More = true }) ]

let tests = testList "pages" [ concatenated; first ]
