"""The small words of English, the verbs of ideas, and words that say nothing measurable."""


def word_set(text: str) -> frozenset[str]:
    """The words of ``text``: a list that can be read at a glance."""
    return frozenset(text.split())


STOP_WORDS = word_set(
    """
    belong belongs बनाने बनाना बनाकर वालों रखने रखना रखनी देने देना लेने लेना चलाने रिकॉर्ड हमें
    उनका उनकी इसका इसकी होना होने होनी चाहिए
    a an the this that these those it its they them their theirs he she his her him we us our ours
    you your yours i me my mine who whom whose which what when where why how and or but nor so yet
    if then else than as at by for from in into of off on onto out over per to toward towards
    under until till up upon via with within without about above across after against along among
    around before behind below beneath beside besides between beyond during except inside near
    outside since through throughout be is are am was were been being do does did done doing have
    has had having can could may might must shall should will would ought need needs needed able
    not no yes only just also too very more most less least much many some any each every all both
    either neither few several own same such other another there here now today daily weekly
    monthly yearly once twice again always never often sometimes etc e.g i.e like want wants
    wanted let lets make makes made get gets got give gives use uses used using based new old good
    best better great nice simple easy fast quick smart modern small large big little whole
    different various multiple single first second third last next main full real online offline
    digital local own one two three four five six seven eight nine ten hundred thousand lakh crore
    rs inr rupees way ways thing things lot lots kind type types part parts time times day days
    week weeks month months year years hour hours minute minutes number numbers app apps
    application system systems software website web site platform platforms portal
    portals tool tools program solution solutions service-based mobile android idea ideas
    project-based build building create creating develop developing design designing please helps
    help helping allow allows allowing enable enables enabling provide provides providing
    including include includes included contain contains containing such because while whenever
    whether everything something anything nothing someone everyone data information info details
    page pages screen screens button dashboard login logout signup sign password ka ki ke ko se
    mein hai hain aur ya liye wala wale wali karna karne kare chahiye mera mere meri hum hamara
    hamare apna apne ek jo jab tab kya koi sab bhi nahi par tak ho hoga hogi jisme jismein usme
    isme kuch bahut bana banana banao mujhe humko unka unke iska iske kitna kitne kaun kab kaise
    का की के को से में है हैं और या लिए वाला वाले वाली करना करने करे चाहिए मेरा मेरे मेरी हम हमारा
    हमारे अपना अपने एक जो जब तब क्या कोई सब भी नहीं पर तक ऐप सिस्टम
    """
)

ADJECTIVES = word_set(
    """
    overdue available pending active inactive daily weekly monthly annual total current previous
    upcoming recent past future latest nearby registered verified approved own personal private
    public common shared free paid unpaid lost damaged expired missing regular individual
    important related relevant existing open closed urgent detailed complete automatic manual
    multiple specific particular secure reliable scalable efficient effective robust flexible
    intuitive seamless friendly user-friendly powerful comprehensive appropriate adequate suitable
    late early same-day separate proper entire basic advanced customised
    customized rural urban indian national senior junior
    """
)

VERBS = word_set(
    """
    accept access add adopt allocate allot answer apply approve archive arrange ask assign attend
    attempt author award bill book borrow bring browse buy calculate cancel care change charge
    chat check checkout choose close collect comment compare complain complete confirm contact
    contribute control convert cook count create deliver deposit describe design dispatch
    distribute donate download earn edit enrol enroll enter escalate estimate evaluate examine
    export extend feed file fill filter find fine follow forward fulfil fulfill generate grade
    grow handle harvest hire hold import inform inspect invite invoice issue join keep learn lease
    lend list log maintain manage mark match measure meet message modify monitor move note notify
    offer open operate order organise organize oversee own park pay perform pick place plan plant
    play post prepare prescribe print process produce promote publish purchase rank rate read
    rebook receive recommend record redeem refer refill refund register reject release remind
    remove renew rent repair repay reply report request reschedule reserve resolve respond return
    review run save schedule search sell send serve settle share ship show sort sponsor start stop
    store study submit subscribe supervise supply support swap take teach test track train
    transfer treat update upload vaccinate validate verify view visit volunteer vote waive warn
    watch weigh withdraw work write raise shortlist conduct see split save exit score rehearse
    practise practice exchange trade bid spend signup checkin decline nominate elect audit
    stitch bake weave knit paint
    """
)

STATUS_OF_VERB = {
    "accept": "accepted", "approve": "approved", "assign": "assigned", "cancel": "cancelled",
    "close": "closed", "complete": "completed", "confirm": "confirmed", "deliver": "delivered",
    "dispatch": "dispatched", "escalate": "escalated", "fulfil": "fulfilled",
    "fulfill": "fulfilled", "publish": "published", "reject": "rejected", "resolve": "resolved",
    "ship": "shipped", "verify": "verified", "waive": "waived", "archive": "archived",
    "inspect": "inspected", "award": "awarded", "shortlist": "shortlisted",
    "decline": "declined",
}  # fmt: skip
"""The state a record reaches when a verb is done to it."""

PREPOSITION_OF_VERB = {
    "apply": "for", "enrol": "in", "enroll": "in", "subscribe": "to", "comment": "on",
    "vote": "for", "complain": "about", "volunteer": "for", "contribute": "to",
    "respond": "to", "reply": "to", "signup": "for",
}  # fmt: skip
"""What stands between a verb and what it is about."""

VAGUE = word_set(
    """
    fast faster fastest quick quickly easy easily easier user-friendly friendly robust efficient
    efficiently effective effectively flexible appropriate appropriately adequate adequately etc
    seamless seamlessly intuitive intuitively scalable reliable reliably secure securely simple
    simply modern smooth smoothly optimal optimally sufficient sufficiently reasonable suitable
    good better best great nice powerful convenient state-of-the-art various several some many few
    minimal maximal approximately usually normally often generally timely real-time realtime
    as-needed and/or tbd significant significantly improved improve enhance enhanced optimise
    optimize fully properly high-quality smart
    """
)
"""Words that no check can decide: they are never repeated in a requirement."""

MODALS = word_set(
    """
    can could may might must shall should will would able want wants need needs to
    """
)

IRREGULAR_PLURALS = {
    "children": "child", "people": "person", "men": "man", "women": "woman", "feet": "foot",
    "teeth": "tooth", "geese": "goose", "mice": "mouse", "wives": "wife", "knives": "knife",
    "lives": "life", "leaves": "leaf", "halves": "half", "shelves": "shelf", "loaves": "loaf",
    "thieves": "thief", "wolves": "wolf", "calves": "calf", "criteria": "criterion",
    "staff": "staff", "quizzes": "quiz", "buses": "bus", "gases": "gas", "diagnoses": "diagnosis",
    "analyses": "analysis", "movies": "movie", "cookies": "cookie", "ties": "tie", "pies": "pie",
    "calories": "calorie", "selfies": "selfie", "heroes": "hero", "potatoes": "potato",
    "tomatoes": "tomato", "statuses": "status", "viruses": "virus", "campuses": "campus",
    "bonuses": "bonus", "indices": "index", "matrices": "matrix", "series": "series",
    "species": "species", "sheep": "sheep", "fish": "fish", "equipment": "equipment",
    "aircraft": "aircraft", "houses": "house", "courses": "course", "nurses": "nurse",
    "horses": "horse", "expenses": "expense", "licenses": "license", "purchases": "purchase",
    "causes": "cause", "databases": "database", "cases": "case", "leases": "lease",
    "phases": "phase", "responses": "response", "exercises": "exercise", "warehouses": "warehouse",
    "invoices": "invoice", "services": "service", "faces": "face", "places": "place",
    "pieces": "piece", "prices": "price", "offices": "office", "devices": "device",
    "heroines": "heroine", "media": "medium", "data": "data", "clothes": "clothes",
    "sizes": "size", "prizes": "prize", "vases": "vase", "roses": "rose", "diseases": "disease",
}  # fmt: skip
