"""People an idea may speak of: those whom the system keeps, and those who only use it."""

from adapters.offline.lexicon.entry import KnownEntity, Role

PEOPLE = (
    KnownEntity(
        "Member", "name! phone! email joined_on:date membership_number",
        about="A person who belongs to the organisation.",
        aliases="subscriber sadasya सदस्य", refs="membership plan|plan",
    ),
    KnownEntity(
        "Student", "name! roll_number guardian_name phone! email admitted_on:date",
        about="A person who learns here.",
        aliases="pupil learner vidyarthi chhatra छात्र विद्यार्थी", refs="class|batch|course",
    ),
    KnownEntity(
        "Patient", "name! phone! date_of_birth gender blood_group address",
        about="A person who is treated.",
        aliases="mareez मरीज रोगी",
    ),
    KnownEntity(
        "Customer", "name! phone! email address",
        about="A person who buys or is served.",
        aliases="client buyer shopper consumer grahak ग्राहक",
    ),
    KnownEntity(
        "Doctor", "name! speciality! phone! email consultation_fee",
        about="A person who treats patients.",
        aliases="physician surgeon dentist vet veterinarian daktar डॉक्टर चिकित्सक",
    ),
    KnownEntity(
        "Teacher", "name! subject! phone! email",
        about="A person who teaches.",
        aliases="tutor instructor faculty lecturer professor mentor shikshak शिक्षक अध्यापक",
    ),
    KnownEntity(
        "Trainer", "name! speciality! phone! hourly_rate",
        about="A person who trains others.", aliases="coach",
    ),
    KnownEntity(
        "Employee", "name! phone! email designation! joined_on:date salary",
        about="A person who works here.", aliases="karmachari कर्मचारी",
    ),
    KnownEntity(
        "Worker", "name! phone! skill! daily_wage village",
        about="A person who is hired for work.", aliases="labourer laborer mazdoor मजदूर helper",
    ),
    KnownEntity(
        "Donor", "name! phone! blood_group email city",
        about="A person who gives.", aliases="contributor daata दाता",
    ),
    KnownEntity(
        "Volunteer", "name! phone! email skills city",
        about="A person who helps without pay.", aliases="swayamsevak स्वयंसेवक",
    ),
    KnownEntity(
        "Beneficiary", "name! phone village! income",
        about="A person who receives help.", aliases="recipient laabharthi लाभार्थी",
        plural="Beneficiaries",
    ),
    KnownEntity(
        "Tenant", "name! phone! email moved_in_on:date identity_number",
        about="A person who rents.", aliases="lodger renter kirayedar किरायेदार", refs="room|flat|property",
    ),
    KnownEntity(
        "Resident", "name! phone! email moved_in_on:date",
        about="A person who lives here.", aliases="hosteller hostelite boarder inmate निवासी",
        refs="room|flat",
    ),
    KnownEntity(
        "Villager", "name! phone ward! aadhaar_last_four",
        about="A person of the village.", aliases="citizen gramvasi ग्रामीण नागरिक",
    ),
    KnownEntity(
        "Guest", "name! phone! email identity_number",
        about="A person who stays or attends.", aliases="visitor mehman अतिथि",
    ),
    KnownEntity(
        "Supplier", "name! phone! email gst_number address",
        about="A firm or person goods are bought from.", aliases="vendor wholesaler distributor",
    ),
    KnownEntity(
        "Farmer", "name! phone! village! land_acres:decimal",
        about="A person who grows or breeds.", aliases="kisan किसान grower",
    ),
    KnownEntity(
        "Driver", "name! phone! licence_number! joined_on:date",
        about="A person who drives.", aliases="rider chauffeur chalak चालक",
    ),
    KnownEntity(
        "Player", "name! phone date_of_birth position",
        about="A person who plays.", aliases="athlete khiladi खिलाड़ी", refs="team",
    ),
    KnownEntity(
        "Candidate", "name! phone! email! qualification experience_years:integer",
        about="A person who applies.", aliases="applicant jobseeker",
    ),
    KnownEntity(
        "Artisan", "name! phone! craft! village",
        about="A person who makes things by hand.", aliases="weaver potter karigar कारीगर",
    ),
    KnownEntity(
        "Stylist", "name! phone! speciality",
        about="A person who serves customers of a salon.", aliases="beautician barber hairdresser",
    ),
    KnownEntity(
        "Mechanic", "name! phone! speciality",
        about="A person who repairs.", aliases="technician plumber electrician",
    ),
    KnownEntity(
        "Child", "name! date_of_birth guardian_name! guardian_phone! allergies",
        about="A child in care.", aliases="kid toddler baccha बच्चा", plural="Children",
    ),
)

ROLES = (
    Role("Owner", "Runs the place and answers for its money.", aliases="proprietor malik मालिक shopkeeper dukandar दुकानदार landlord"),
    Role("Administrator", "Sets the system up and sees everything.", aliases="admin superadmin"),
    Role("Manager", "Runs the daily work.", aliases="supervisor coordinator head incharge"),
    Role("Librarian", "Looks after the collection and its loans."),
    Role("Warden", "Looks after the rooms and those who live in them."),
    Role("Receptionist", "Receives people and arranges their visits.", aliases="frontdesk"),
    Role("Cashier", "Takes payments and gives receipts.", aliases="accountant treasurer munim"),
    Role("Secretary", "Keeps the records and writes to the members.", aliases="sachiv सचिव clerk"),
    Role("Sarpanch", "Heads the village council.", aliases="pradhan mukhiya सरपंच प्रधान"),
    Role("Nurse", "Cares for patients and keeps their charts."),
    Role("Pharmacist", "Hands out medicines."),
    Role("Principal", "Heads the school."),
    Role("Parent", "Looks after a child who learns here.", aliases="guardian abhibhavak अभिभावक"),
    Role("Staff Member", "Does the daily work.", aliases="staff operator attendant agent", plural="Staff Members"),
    Role("Organiser", "Plans and runs events.", aliases="organizer host planner"),
    Role("Cook", "Prepares the food.", aliases="chef rasoiya रसोइया"),
    Role("Waiter", "Serves the tables."),
    Role("Lab Technician", "Runs the tests and records their results.", aliases="pathologist"),
    Role("Storekeeper", "Receives goods and hands them out.", aliases="warehouseman"),
    Role("Recruiter", "Fills vacancies.", aliases="employer hr"),
    Role("Moderator", "Keeps contributions within the rules.", aliases="editor reviewer"),
    Role("Officer", "Decides on requests and complaints.", aliases="official inspector"),
    Role("User", "Uses the system every day.", aliases="person people everyone anyone individual"),
)
