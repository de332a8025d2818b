"""Ideas as people write them: short and long, Indian, Hinglish, Hindi, odd and hostile."""

IDEAS: dict[str, str] = {
    "library": (
        "A library system for a college: members borrow books, librarians manage titles and"
        " copies, and overdue loans are fined."
    ),
    "gym": "an app for my gym",
    "kirana": (
        "kirana shop ke liye app jisme products with name, price and stock ho, aur udhaar ka hisaab"
    ),
    "clinic": (
        "Patients can book appointments with doctors. Each patient has a name, phone and blood"
        " group. Receptionists confirm or cancel appointments. Doctors write prescriptions."
    ),
    "hindi kites": "पतंग बनाने वालों के लिए एक ऐप",
    "hindi hospital": "गाँव के अस्पताल में मरीज और डॉक्टर का रिकॉर्ड रखने के लिए ऐप।",
    "tamil": "எங்கள் கிராமத்து பள்ளிக்கு ஒரு செயலி",
    "chinese": "图书管理系统",
    "arabic": "تطبيق لإدارة المكتبة",
    "emoji": "🐶🐱 pets!!! adopt 🏠",
    "hostile": (
        "'; DROP TABLE users; -- <script>alert(1)</script> {{7*7}} {% raw %} %s %n ${jndi:x}"
        ' """ \\ \\N{BULLET} {0.__class__}'
    ),
    "reserved": (
        "Each Class has a from, id, order, limit and self. Groups have many classes. Lambdas"
        " and imports with a name and a return date. Index the None and True."
    ),
    "beekeeping": (
        "Beekeepers can log hives and inspections. Each hive has a location and a queen age."
        " Buyers order honey jars."
    ),
    "mess": (
        "Hostel mess management: students mark meals they will eat, cook plans the menu,"
        " manager collects payments and students can complain"
    ),
    "blood bank": (
        "Blood bank: donors register and donate blood, hospitals request blood units by blood"
        " group, staff track expiry of units"
    ),
    "hotel": (
        "Guests book rooms in our hotel, receptionist checks them in, managers see bookings and"
        " payments. Vehicles can be rented by guests."
    ),
    "panchayat": (
        "Gram panchayat portal where villagers report complaints about roads and water, apply"
        " for schemes, and the secretary issues certificates. 1,200 villagers."
    ),
    "coaching": (
        "Coaching institute ERP. Students enrol in courses and batches, teachers take attendance"
        " and conduct tests, parents see marks and fees due. Send SMS reminders. It should be"
        " fast and user-friendly."
    ),
    "hot desks": "Employees can reserve desks and meeting rooms. Managers approve reservations.",
    "farm market": (
        "A marketplace for farmers to sell crops directly to buyers. Farmers list produce with"
        " quantity and price per kg. Buyers place orders and rate farmers."
    ),
    "pottery": "I want to track my pottery glazes and kiln firings",
    "expenses": "Split expenses with my flatmates",
    "nothing": "make it work",
    "punctuation": "!!! ??? ... --- ,,, ;;; ((( )))",
    "blank": " \n\t ",
    "tickets": (
        "Help desk ticketing: customers raise tickets with subject, priority and description;"
        " agents resolve or close tickets; tickets belong to a department"
    ),
    "cricket": "Cricket tournament manager - teams, players, matches. Organisers schedule matches.",
    "bike rental": (
        "Bike rental: customers rent bikes by the day with deposit, staff mark bikes returned,"
        " late returns are fined"
    ),
    "jobs": (
        "Job portal where companies post jobs and candidates apply. Recruiters shortlist, reject"
        " or accept applications and schedule interviews."
    ),
    "sarees": (
        "Online store for handloom sarees, weavers upload sarees with photos price and stock,"
        " customers order them and pay by UPI"
    ),
    "warehouse": (
        "Inventory for a warehouse: products with SKU, name, quantity in stock and reorder"
        " level. Suppliers deliver purchase orders."
    ),
    "temple": "mandir me puja booking aur daan ki rasid",
    "space": (
        "Astronauts log experiments on a space station. Each experiment has a code, title, start"
        " date, end date and risk level. Mission controllers approve experiments."
    ),
}

LONG_IDEA = "\n\n".join(
    f"{number}. {text}" for number, text in enumerate([*IDEAS.values()] * 3, start=1)
)
"""Three pages and more, about everything at once."""
