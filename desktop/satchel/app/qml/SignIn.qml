import QtQuick
import QtQuick.Controls.Basic

// Address, e-mail, password; then a new password when the first was temporary.
Flickable {
    id: page
    property bool busy: false
    property bool wantsNew: false
    property string trouble: ""
    contentHeight: Math.max(height, card.height + 60)
    clip: true

    function send() {
        if (busy)
            return
        if (!site.text || !email.text || !password.text) {
            trouble = qsTr("Fill in the address, your e-mail and your password.")
            return
        }
        busy = true
        trouble = ""
        satchel.signIn(site.text, email.text, password.text, wantsNew ? renewed.text : "")
    }

    Connections {
        target: satchel
        function onSignInAnswered(outcome, words) {
            page.busy = false
            page.wantsNew = outcome === "new_password_required" || (page.wantsNew && outcome === "error")
            page.trouble = words
            if (outcome === "signed_in") {
                password.text = ""
                renewed.text = ""
                page.wantsNew = false
            } else if (page.wantsNew) {
                renewed.input.forceActiveFocus()
            }
        }
    }

    Rectangle {
        id: card
        anchors.horizontalCenter: parent.horizontalCenter
        y: Math.max(30, (page.height - height) / 2)
        width: Math.min(440, page.width - 40)
        height: form.implicitHeight + 64
        radius: 22
        color: Tokens.card
        border.width: 1
        border.color: Tokens.line

        Column {
            id: form
            anchors { left: parent.left; right: parent.right; top: parent.top; margins: 32 }
            spacing: 16
            Image { source: "../icons/satchel.svg"; sourceSize: Qt.size(56, 56); width: 56; height: 56; Accessible.ignored: true }
            Column {
                width: parent.width
                spacing: 4
                Text { text: page.wantsNew ? qsTr("Choose a new password") : qsTr("Sign in to Satchel"); color: Tokens.text; font.pixelSize: Tokens.title; font.weight: Font.DemiBold; Accessible.role: Accessible.Heading; Accessible.name: text }
                Text {
                    width: parent.width
                    text: page.wantsNew ? qsTr("The one you were given was for the first sign-in only.") : qsTr("The address is where your team's Satchel lives.")
                    wrapMode: Text.Wrap
                    color: Tokens.quiet
                    font.pixelSize: Tokens.small
                }
            }
            Field { id: site; width: parent.width; visible: !page.wantsNew; label: qsTr("Address"); placeholder: "files.example.com"; text: satchel.site; onAccepted: email.input.forceActiveFocus() }
            Field { id: email; width: parent.width; visible: !page.wantsNew; label: qsTr("E-mail"); placeholder: "you@example.com"; text: satchel.email; onAccepted: password.input.forceActiveFocus() }
            Field { id: password; width: parent.width; visible: !page.wantsNew; label: qsTr("Password"); echoMode: TextInput.Password; onAccepted: page.send() }
            Field { id: renewed; width: parent.width; visible: page.wantsNew; label: qsTr("New password"); echoMode: TextInput.Password; onAccepted: page.send() }
            Rectangle {
                width: parent.width
                height: words.implicitHeight + 20
                visible: page.trouble !== ""
                radius: Tokens.smallRadius
                color: Tokens.badSoft
                Text {
                    id: words
                    anchors { left: parent.left; right: parent.right; verticalCenter: parent.verticalCenter; margins: 12 }
                    text: page.trouble
                    textFormat: Text.PlainText
                    wrapMode: Text.Wrap
                    color: Tokens.bad
                    font.pixelSize: Tokens.small
                    Accessible.role: Accessible.AlertMessage
                    Accessible.name: text
                }
            }
            PushButton {
                width: parent.width
                implicitHeight: 46
                kind: "strong"
                centred: true
                text: page.busy ? qsTr("Signing in…") : page.wantsNew ? qsTr("Set password and sign in") : qsTr("Sign in")
                enabled: !page.busy
                onClicked: page.send()
            }
            Text {
                width: parent.width
                visible: !page.wantsNew
                text: qsTr("No address yet? “satchel demo” in a terminal starts one on this computer.")
                wrapMode: Text.Wrap
                color: Tokens.quiet
                font.pixelSize: Tokens.tiny
            }
        }
    }
}
