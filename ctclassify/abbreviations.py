"""What a full stop may belong to: abbreviations sorted by how they behave, and words that open sentences.

A full stop after an abbreviation says nothing by itself. What follows decides, and how much evidence that takes differs
from kind to kind. The words are those of English-language news, with ranks, courts and titles of South Asia, the Middle
East and Africa.

Notes
-----
`OPENERS` was read off the raw news of the project's data (wcep, state and wikinews, 15.7 million characters): words in
capitals seen at least eight times at the start of a sentence and at most 12% as often inside one, without those that
are also names. Some rarer words of the same sort were added by hand.
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "CALENDAR",
    "CERTAIN_OPENERS",
    "INSTITUTIONS",
    "LETTERED",
    "LINKERS",
    "OPENERS",
    "ORDINARY_WORDS",
    "PARTICLES",
    "PLURALS",
    "SPEECH_VERBS",
    "UNITS",
    "VERBS",
    "Kind",
    "kind_of",
]


def _words(words: str) -> frozenset[str]:
    """Return the words of a table."""
    return frozenset(words.split())


class Kind(Enum):
    """How an abbreviation behaves before a capital letter or a digit."""

    TITLE = "title"
    """Stands before a name or a number and hardly ever ends a sentence: ``Gen.``, ``Mr.``, ``v.``"""
    NUMBERED = "numbered"
    """Is an abbreviation only before a number: ``No. 10``; otherwise an ordinary word, as in ``He said no.``"""
    MONTH = "month"
    """Is an abbreviation only before a number or a date word: ``Jan. 5``, ``Mon. Jan. 5``."""
    CLOCK = "clock"
    """Ends a sentence before a capital letter, unless a day or a time zone follows: ``5 p.m. Monday``."""
    PLACE = "place"
    """A state or province: ends a sentence after a comma (``Oakland, Calif.``), elsewhere only before an opener."""
    SUFFIX = "suffix"
    """Follows a name (``Inc.``, ``Jr.``): ends a sentence before an opener, or before a name and its verb."""
    OTHER = "other"
    """Any other: ends a sentence only before a word that opens one."""


_WORDS = {
    Kind.TITLE: """
        Mr Mrs Ms Mx Dr Drs Prof Messrs Mme Mlle Hon Rev Revd Fr Msgr Amb Pres Sen Sens Rep Reps Gov Govs Atty Asst
        Dep Dy Addl Jt Supt Insp Det Dets Const Sec Secy Gen Gens Lt Lts Col Cols Maj Capt Capts Cpt Cdr Cmdr Cmdt
        Comdr Comdt Commr Commrs Cdre Adm Brig Sgt Sgts SSgt Cpl Cpls Pvt Pte Pfc Spc Ens Flt Sqn Wg Ldr Subed Nb Hav
        Sh Smt Adv Er Eng Engr Ing Mohd Mhd Kh Ch Alh Pdt Ald Cllr Spl Sra Srta Min Adj Ofc Agt Wm Geo Chas Jas Thos MR
        MRS MS DR PROF GEN LT MAJ CAPT SGT SEN GOV AMB ADM BRIG HON mr mrs ms dr prof gen lt col maj capt sgt v vs viz
        cf e.g i.e a.k.a V VS Supdt Asstt Barr Comr Thiru Gy
        """,
    Kind.NUMBERED: """
        No Nos Nr Art Arts Vol Vols Par Pars Para Paras Fig Figs Chap Sect Cl Res Reg Regs Doc Docs Apt Apts Rs Re Rp
        Tk Approx Secs NO NOS ART RES REG DOC no nos art arts sec secs sect vol vols par pars para paras fig figs chap
        cl res reg regs doc docs apt apts p pp pg rs tk approx ca c est max min pop ext tel
        """,
    Kind.MONTH: """
        Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Weds Thu Thur Thurs Fri Sat Sun JAN FEB APR
        AUG SEPT OCT NOV DEC
        """,
    Kind.CLOCK: "a.m p.m A.M P.M etc hrs B.C A.D B.C.E C.E",
    Kind.PLACE: """
        Ala Ariz Ark Calif Cal Colo Conn Del Fla Ga Ill Ind Kan Ky La Mass Mich Minn Miss Mo Mont Neb Nev Okla Ore Pa
        Tenn Tex Va Vt Wash Wis Wyo N.H N.J N.M N.Y N.C N.D S.C S.D R.I W.Va D.C Ont Que Alta Sask Man N.S N.B Nfld
        N.S.W Vic Qld
        """,
    Kind.SUFFIX: """
        Inc Ltd Co Cos Corp Bros Plc LLC LLP GmbH Pty Bhd Jr Sr Jnr Snr Esq Ret Retd Ph.D M.D J.D LL.B M.B.A M.Sc B.Sc
        al INC LTD CORP BROS JR SR
        """,
    Kind.OTHER: """
        St Ste Mt Mts Ft Pt Dept Depts Univ Assn Assoc Ave Blvd Rd Sq Hwy Rte Bldg Natl Intl Int'l Nat'l Gov't Govt
        Sec'y Hosp Inst Comm Cmte Dir Dist Distt Teh Md Bn Regt Bde Coy Inf Arty Armd Div Supp App Cir Ct Stat Pet Crl
        Misc J JJ CJ Ex.P F.Supp Ed Eds Incl Est Op Sub dept depts univ assn govt gov't incl misc avg ft km kms kg lb
        lbs oz mi mph kph bn tn cr ret retd med phil jur rer nat habil VP ST FT MT DEPT ASP CSP DSP ACP DCP DIG AIG IGP
        AVM Tech Crim Civ Pub Fed alt aka
        """,
}
_KINDS = {word: kind for kind, words in reversed(_WORDS.items()) for word in words.split()}

_OPENERS = """
    The A And We In At So Two This An It But He Former As Three They One Four On There We're For That Five What Six
    These Our Thousands More According We've That's After She You If All Seven When Several Gunmen With Is However Now
    Hundreds Authorities During Protesters To Over Ten Eight Do Today Following We'll Both Protests Can Nine Of How
    Some Let's Since While Clashes Tens Eleven Around Many Just Are Because Suspected Another Dozens Well Yesterday
    Also Twelve About Again Fighting Last Fourteen Thanks Yes Other Please Officials Despite Those Fifteen There's
    Twenty Together Militants Earlier Finally Does By Meanwhile Sixteen Among Additionally Why Thirteen Reports
    They're Rebels Before Could He's From Amid Their Today's Prosecutors Seventeen Have Her Nearly Even Although Any
    Did Unfortunately Talks Approximately Supporters Or Not Nineteen Later Whether Residents Like Every You're
    Demonstrators Unidentified Part Then Each Eighteen Hours Its Once Only Instead Participants Was Retired Results
    Separately Due Attacks Given Between Investigators Soldiers Here Further Almost Millions Such Where They've
    Explosions Witnesses Insurgents Lawmakers Activists Speaking Throughout Gunfire Thirty Indeed Critics Flooding
    Having Furthermore Forty Alleged Bombs Amidst None Across Leading Sources Citing Troops It's Recently Yet Maybe
    Analysts Similarly Prior Fifty Reportedly Various Regarding Ultimately Anything Previously Within Though Starting
    Here's She's Much Shortly Rockets Videos Relatives Currently Everyone Nothing Details Outside Tensions Bandits
    Already Survivors Moreover Eyewitnesses Diplomats Don't His Under Next Through Your My Who Which Whose Until
    Unless Upon Without Against Behind Below Beside Besides Beyond Near Toward Towards Were Had Has Should Would
    Cannot Never Still Thus Therefore Hence Perhaps Elsewhere Afterwards Nevertheless Nonetheless Otherwise Few Fewer
    Less Neither Nor Either Someone Somebody Nobody No Police Experts Doctors Villagers Shares Fighters Rescuers
    Attackers Neighbors Neighbours Families Lawyers People Members Hostages Victims Suspects Detainees
    """
OPENERS = _words(_OPENERS) | _words(_OPENERS.replace("'", "’"))
"""Words that are capitalised because they open a sentence, and are no part of a name."""

CERTAIN_OPENERS = frozenset({"The", "This", "These", "There", "They", "His", "It", "But"})
"""Openers that are no family name anywhere, so that they end a sentence even after a rank."""

PLURALS = _words(
    """
    Agents Aides Airstrikes Campaigners Civilians Crowds Detectives Drones Economists Envoys Farmers Firefighters
    Inspectors Investors Jets Journalists Medics Migrants Negotiators Officers Passengers Patients Pilots Refugees
    Reporters Researchers Scientists Strikes Students Teachers Traders Voters Warplanes Workers
    """
)
"""Plurals that are a subject where a word in lower case follows, unlike in ``the F.B.I. Agents Association``."""

UNITS = frozenset({"km", "kms", "kg", "lbs", "mi", "mph", "kph"})
"""Units that hardly stand between a number and a name, unlike ``ft`` and ``lb``."""

ORDINARY_WORDS = _words(
    """
    no art arts pop doc docs fig figs res apt par ill mass miss man wash ore sat sun wed app pet sub coy tv mp pm hq
    """
)
"""Words and acronyms that look like abbreviations in a text without capitals, and end its sentences."""

INSTITUTIONS = _words(
    """
    Day Embassy Consulate Army Navy Marine Marines Air Coast Border Senate House Congress Capitol Parliament
    Government Treasury State Department Justice Supreme District Court Attorney President Ambassador Secretary Prime
    Foreign Defense Defence Home Interior Ministry Mission Military Council Security General Women Children Central
    Command Charter Envoy Special Federal National Postal Steel Olympic Open Senator Representative Rep Sen Gov Gen Lt
    Adm
    """
)
"""Words that make a name with the acronym before them: ``the U.S. Embassy``."""

LINKERS = _words(
    """
    a an the of at to for from with and or but nor as than that which who whose whom into onto against between among
    amid during until while be been has have had will would could should may might can its his her their our this
    these those including called named via per vs versus
    """
)
"""Words that a phrase cannot end in: the next line goes on."""

PARTICLES = _words(
    """
    in on by over under near before after since is are was were said says told not also more about around outside
    inside across off out up down through
    """
)
"""Words that a phrase hardly ends in, save in a headline such as ``Talks go on``."""

LETTERED = tuple(
    _words(
        """
    letter plan vitamin hepatitis type grade category class group option exhibit annex appendix schedule block zone
    phase tier gate terminal unit cell sector wing hall ward suspect witness version malcolm
    """
    )
)
"""Words, in lower case, after which a single letter is a name of its own and no initial."""

VERBS = _words("said says told is are was were has had will would could can may did does became denied confirmed added")
"""Verbs that show the name before them to be a subject."""

SPEECH_VERBS = _words(
    """
    said says asked asks told tells shouted shouts cried cries yelled wrote writes added replied wondered demanded
    exclaimed screamed tweeted posted chanted declared recalled joked quipped ordered warned answered insisted pleaded
    begged barked snapped whispered muttered roared repeated urged inquired laughed sobbed continued responded
    retorted
    """
)
"""Verbs that attribute a quotation to its speaker."""

CALENDAR = _words(
    """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun January
    February March April May June July August September October November December Jan Feb Mar Apr Jun Jul Aug Sep Sept
    Oct Nov Dec GMT UTC EST EDT CST CDT MST MDT PST PDT ET CT PT BST CET CEST EAT WAT CAT SAST IST PKT MSK Eastern
    Central Pacific Greenwich
    """
)
"""Days, months and time zones, which go on after a clock time or a short month."""


def kind_of(word: str) -> Kind | None:
    """Return the kind of the abbreviation ``word``, given without its last full stop; None for other words."""
    kind = _KINDS.get(word)
    if kind is None and all(_KINDS.get(part) is Kind.TITLE for part in word.split(".")):
        return Kind.TITLE  # ranks without a space between: Lt.Col.
    return kind
